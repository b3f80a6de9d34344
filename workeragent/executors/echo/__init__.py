"""Kind `echo`: gives its input back, after `sleep_ms` milliseconds when asked to."""

import time

from workeragent.executors.context import TaskContext
from workeragent.outcome import InvalidInputError, Result

LONGEST_SLEEP_MS = 3_600_000
STEP_SECONDS = 0.05
"""How often a sleeping task looks whether it was cancelled."""


def run(context: TaskContext) -> Result:
    """The result is the input. Parameter ``sleep_ms``: a number from 0 to 3,600,000."""
    milliseconds = context.task.parameters.get("sleep_ms", 0)
    if milliseconds:
        _sleep(context, _checked(milliseconds) / 1000)
    return Result(context.task.input)


def _checked(milliseconds: object) -> float:
    known = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    if not known or not 0 <= float(milliseconds) <= LONGEST_SLEEP_MS:  # type: ignore[arg-type]
        raise InvalidInputError(
            "sleep_ms_invalid", f"Parameter sleep_ms must be from 0 to {LONGEST_SLEEP_MS}."
        )
    return float(milliseconds)  # type: ignore[arg-type]


def _sleep(context: TaskContext, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        context.check()
