"""Kind `fail_attempts`: fails its first attempts, then gives its input back."""

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result, TransientError


def run(context: TaskContext) -> Result:
    """Parameter ``attempts``: how many attempts fail with a transient error (default 1)."""
    if context.task.attempt <= int(context.task.parameters.get("attempts", 1)):
        raise TransientError("test_attempt", "This attempt fails as asked.")
    return Result(context.task.input)
