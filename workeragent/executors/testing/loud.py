"""Kind `loud`: writes far more to standard output and error than anybody wants to read."""

import sys

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result

LINE = "x" * 1023 + "\n"


def run(context: TaskContext) -> Result:
    """Gives its input back. Parameter ``kilobytes``: how much to each (default 1,024)."""
    for _ in range(int(context.task.parameters.get("kilobytes", 1024))):
        sys.stdout.write(LINE)
        sys.stderr.write(LINE)
    return Result(context.task.input)
