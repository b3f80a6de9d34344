"""Kind `huge_result`: gives back a text of a chosen size."""

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result


def run(context: TaskContext) -> Result:
    """Parameter ``bytes``: how long the text is (default 1 MiB)."""
    return Result("x" * int(context.task.parameters.get("bytes", 2**20)))
