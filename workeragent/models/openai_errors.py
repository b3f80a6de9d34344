"""What an endpoint's refusal means for the task: which class of error, and how long to wait."""

import re
import time
from email.utils import parsedate_to_datetime

import httpx

from workeragent.outcome import (
    InvalidInputError,
    OverloadedError,
    PermanentError,
    RateLimitedError,
    TaskError,
    TransientError,
)

LONGEST_WAIT_SECONDS = 3600.0
"""A longer Retry-After is cut, so that a wrong clock at the other side cannot park a task."""

_OVERLOADED = {502, 503, 529}
_INVALID = {400, 404, 413, 422}
_REFUSED = {401, 403}


def raise_for_answer(answer: httpx.Response) -> None:
    """Return when the answer is a success; otherwise raise the TaskError that it stands for."""
    if answer.is_success:
        return
    status, said = answer.status_code, _error_code(answer)
    wait = _retry_after(answer)
    if said == "insufficient_quota":
        raise PermanentError("insufficient_quota", "The endpoint's account has no quota left.")
    raise _error(status, f"The endpoint answered {status}" + (f" ({said})." if said else "."), wait)


def _error(status: int, message: str, wait: float) -> TaskError:
    if status == 429:
        return RateLimitedError("model_rate_limited", message, retry_after_seconds=wait)
    if status in _OVERLOADED:
        return OverloadedError("model_overloaded", message, retry_after_seconds=wait)
    if status in _INVALID:
        return InvalidInputError("model_refused_input", message)
    if status in _REFUSED:
        return PermanentError("endpoint_auth", message + " Check the endpoint's key.")
    if status >= 500 or status in (408, 409, 425):
        return TransientError("endpoint_failed", message, retry_after_seconds=wait)
    return PermanentError("endpoint_refused", message)


def _error_code(answer: httpx.Response) -> str:
    """The body's code when it is one word; never free text, which may quote the prompt."""
    try:
        error = answer.json()["error"]
        said = str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return said if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", said) else ""


def _retry_after(answer: httpx.Response) -> float:
    """Seconds asked for by Retry-After (a number or a date), 0 when it says nothing usable."""
    value = answer.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    # The comparison is written so that "nan" also gives 0.
    return min(seconds, LONGEST_WAIT_SECONDS) if seconds > 0 else 0.0


def _seconds_until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
