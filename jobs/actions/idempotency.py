"""A request's Idempotency-Key: held while it is worked on, remembered with the answer."""

from __future__ import annotations

import hashlib
from typing import Final

from jobs.errors import IdempotencyMismatch, InvalidRequest, RequestInFlight
from jobs.models import RecordedAnswer
from jobs.transitions.sql import execute, fetch

MAX_KEY_CHARACTERS: Final = 255

REMEMBER: Final = """
insert into recorded_answer (actor, key, request_sha256, answer, created_at)
values (%s, %s, %s, %s, clock_timestamp())
"""


def check_key(key: str | None) -> str | None:
    """Return the Idempotency-Key when it can be one. Raises InvalidRequest."""
    if key is None:
        return None
    if 0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable():
        return key
    raise InvalidRequest.field(
        "Idempotency-Key", f"use 1 to {MAX_KEY_CHARACTERS} printable ASCII characters"
    )


def hold_key(whose: str, key: str) -> None:
    """Hold the key until the transaction ends. Raises RequestInFlight when another holds it."""
    digest = hashlib.sha256(f"{whose}:{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    if not fetch("select pg_try_advisory_xact_lock(%s)", (number,))[0][0]:
        raise RequestInFlight(
            "A request with this Idempotency-Key is still being worked on; try again.",
            retry_after_seconds=1,
        )


def check_same(recorded_sha256: str, request_sha256: str) -> None:
    """Raise IdempotencyMismatch when the key's first request was another one."""
    if recorded_sha256 != request_sha256:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used with another body; use a new key for a new request."
        )


def recorded_answer(actor: str, key: str, request_sha256: str) -> str | None:
    """Return the answer that the key's first request got, as JSON text, or None.

    Raises IdempotencyMismatch.
    """
    record = RecordedAnswer.objects.filter(actor=actor, key=key).first()
    if record is None:
        return None
    check_same(record.request_sha256, request_sha256)
    return record.answer


def remember_answer(*, actor: str, key: str, request_sha256: str, answer: str) -> None:
    """Keep an answer (JSON text) in the transaction of what it tells; the key is held by it."""
    execute(REMEMBER, (actor, key, request_sha256, answer))
