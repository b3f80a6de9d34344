"""What bounds an operator's requeues: the cap of a batch, a confirmation, a rate.

The rate is exact under any concurrency, all gateways together: the statement that counts a call
is the one that lets it through, and the count is committed with what the call did.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from django.conf import settings

from access.throttles import counted
from jobs.errors import ConfirmationRequired, InvalidRequest, RateLimited
from jobs.transitions.sql import fetch

CONFIRM_HEADER: Final = "X-DAEF-Confirm"

# Requeues follow one another: whoever comes next reads the clock when it is its turn, so that it
# counts in the minute in which it acts, and what it is told to wait is exact.
TURN: Final = "select pg_advisory_xact_lock(20264, 1)"

TAKE: Final = f"""
with taken as ({counted("requeue_window", "id", "select 1", most="%(most)s")})
select (select used from taken),
    ceil(60 - mod(extract(epoch from statement_timestamp()), 60))::int
"""  # nosec B608

USED: Final = """
select used from requeue_window
where minute = floor(extract(epoch from clock_timestamp()) / 60)
"""


def max_batch() -> int:
    """Return how many tasks one call may name."""
    cap: int = settings.DAEF_ADMIN_REQUEUE_MAX_BATCH
    return cap


def check_batch(count: int) -> None:
    """Raise InvalidRequest when that many tasks are more than one call may name."""
    if count > max_batch():
        raise InvalidRequest.field(
            "tasks",
            f"at most {max_batch()} at a time, not {count}; send the rest in further calls, or use "
            "manage.py requeue, which does",
        )


def confirmation_needed(count: int) -> bool:
    """Tell whether requeueing that many tasks has to be confirmed."""
    token: str = settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN
    threshold: int = settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD
    return bool(token) and count >= threshold


def check_confirmation(count: int, shown: bytes) -> None:
    """Raise ConfirmationRequired unless what was shown is the token, where one is needed."""
    if not confirmation_needed(count):
        return
    token: str = settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN
    if not hmac.compare_digest(_digest(shown), _digest(token.encode())):
        threshold: int = settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD
        raise ConfirmationRequired(
            f"{count} tasks at once need the header '{CONFIRM_HEADER}' with the token that is set "
            f"as DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN, since they are {threshold} or more; look at "
            "what would happen with dry_run, or requeue fewer."
        )


def take_turn() -> None:
    """Wait for other requeues, then count this one; in the transaction of what it does.

    Raises RateLimited with the seconds to wait.
    """
    most: int = settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN
    fetch(TURN)
    used, seconds = fetch(TAKE, {"most": most})[0]
    if used is None:
        raise RateLimited(
            f"{most} requeues a minute are let through, all gateways together; wait {seconds} s.",
            retry_after_seconds=seconds,
        )


def used_this_minute() -> int:
    """Return how many requeues were let through in this minute."""
    rows = fetch(USED)
    return int(rows[0][0]) if rows else 0


def _digest(text: bytes) -> bytes:
    """Of one length: not even the token's own shows in the time that a comparison takes."""
    return hashlib.sha256(text).digest()
