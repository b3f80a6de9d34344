"""Kind `spin`: never ends and hears no cancel; only the end of the runner stops it."""

import re
from typing import NoReturn

from workeragent.executors.context import TaskContext


def run(context: TaskContext) -> NoReturn:
    """Parameter ``alone``: hold the interpreter, so that no other thread of the runner runs."""
    while True:
        if context.task.parameters.get("alone"):
            # Doubles its time with each letter, in C and without a moment for others.
            re.match("(a+)+b", "a" * 64)
