"""What happens to a task after an attempt that did not succeed: the error's class decides."""

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0
"""Exponential backoff from one second, doubling, as Temporal's default policy starts."""

DOUBLINGS = 6
"""As many as it takes to reach the longest delay; more would only overflow."""

GIVEN_BACK = frozenset({"rate_limited", "overloaded", "released"})
"""The other side asks for patience, or the agent could not run it.

The attempt is given back; schedule-to-close bounds how often.
"""

HOPELESS = frozenset({"invalid_input", "permanent"})
"""The same input would fail again."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Run it again after ``delay_seconds``; with ``give_back`` this attempt does not count."""

    delay_seconds: float
    give_back: bool


@dataclass(frozen=True, slots=True)
class Bury:
    """Send it to the dead letters."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FailJob:
    """Send it to the dead letters and let the whole job fail."""

    code: str
    message: str


Decision = Requeue | Bury | FailJob


def after_failure(
    *,
    error_class: str,
    error_code: str,
    message: str,
    attempt: int,
    max_attempts: int,
    retry_after_seconds: float,
    age_seconds: float,
    schedule_to_close_seconds: float | None,
    jitter: float,
) -> Decision:
    """Decide by the error's class.

    ``attempt`` counts this attempt, ``age_seconds`` is since the task was made, ``jitter`` is a
    random number between 0 and 1: delays spread over their upper half (AWS Architecture Blog,
    "Exponential Backoff And Jitter", 2015, "equal jitter").
    """
    if error_class == "budget_exceeded":
        return FailJob(error_code, message)
    if error_class in HOPELESS:
        return Bury(error_code, message)
    given_back = error_class in GIVEN_BACK
    if not given_back and attempt >= max_attempts:
        return Bury(error_code, message)
    delay = _delay(error_class, attempt, retry_after_seconds, jitter)
    if schedule_to_close_seconds is not None and age_seconds + delay > schedule_to_close_seconds:
        return Bury(
            "schedule_to_close_exceeded",
            f"No time is left for another attempt; the last one ended with: {message}",
        )
    return Requeue(delay, give_back=given_back)


def _delay(error_class: str, attempt: int, retry_after_seconds: float, jitter: float) -> float:
    if error_class in ("worker_lost", "released"):
        return 0.0
    longest = min(FIRST_DELAY_SECONDS * 2.0 ** min(attempt - 1, DOUBLINGS), LONGEST_DELAY_SECONDS)
    backoff = longest * (0.5 + jitter / 2)
    return max(backoff, retry_after_seconds)
