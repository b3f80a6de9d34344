"""Kind `fail`: fails with the class that parameter `error` names."""

from workeragent.executors.context import TaskContext
from workeragent.outcome import (
    InvalidInputError,
    OverloadedError,
    PermanentError,
    RateLimitedError,
    Result,
    TaskError,
    TransientError,
)

ERRORS: dict[str, type[TaskError]] = {
    kind.error_class: kind
    for kind in (
        TransientError,
        RateLimitedError,
        OverloadedError,
        InvalidInputError,
        PermanentError,
    )
}


def run(context: TaskContext) -> Result:
    """Parameters: ``error`` (default ``permanent``), ``retry_after_seconds`` (default 0)."""
    name = str(context.task.parameters.get("error", "permanent"))
    if name not in ERRORS:
        raise InvalidInputError("error_invalid", f"Parameter error must be one of {list(ERRORS)}.")
    wait = float(context.task.parameters.get("retry_after_seconds", 0))
    raise ERRORS[name](f"test_{name}", "Failed as asked.", retry_after_seconds=wait)
