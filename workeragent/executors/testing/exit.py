"""Kind `exit`: ends the runner's process, as a crash in native code would."""

import os
import time

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result


def run(context: TaskContext) -> Result:
    """Parameters: ``attempts`` that die (default: all), ``code`` (1), ``after_ms`` (0)."""
    parameters = context.task.parameters
    if context.task.attempt <= int(parameters.get("attempts", context.task.attempt)):
        time.sleep(float(parameters.get("after_ms", 0)) / 1000)
        os._exit(int(parameters.get("code", 1)))
    return Result(context.task.input)
