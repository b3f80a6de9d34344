"""How an entry becomes a hash: its canonical text and its link to the entry before.

Pure: no Django, no I/O. ``docs/reference/audit-events.md`` says the same for other programs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

GENESIS: Final = "0" * 64
"""``prev_hash`` of the first entry."""

ENCODER: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
HEAD_TEXT = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)


class Entry(NamedTuple):
    """One entry's columns, in the table's order."""

    number: int
    happened_at: datetime
    action: str
    result: str
    actor: str
    door: str
    tenant: str
    target: str
    reason: str
    address: str
    request_id: str
    details: str
    prev_hash: str
    hash: str


class Head(NamedTuple):
    """An entry by its number and hash; kept elsewhere, it shows a cut or rewritten end."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


START: Final = Head(0, GENESIS)
"""What the first entry is linked to."""


def parse_head(text: str) -> Head:
    """Return the head written as ``N:HASH``; ValueError when it is not."""
    match = HEAD_TEXT.fullmatch(text)
    if match is None:
        raise ValueError("a head reads N:HASH, a number from 1 and 64 hexadecimal digits")
    return Head(int(match[1]), match[2])


def canonical_json(value: Mapping[str, object]) -> str:
    """Return the one JSON text of a mapping: names sorted, no spaces, escapes only where needed."""
    return ENCODER.encode(value)


def digest(entry: Entry) -> str:
    """Return the SHA-256 of all columns but ``hash``, as 64 hexadecimal digits."""
    columns: dict[str, object] = entry._asdict()
    del columns["hash"]
    columns["happened_at"] = time_text(entry.happened_at)
    return hashlib.sha256(canonical_json(columns).encode()).hexdigest()


def sealed(entry: Entry) -> Entry:
    """Return the entry with its hash."""
    return entry._replace(hash=digest(entry))


def time_text(moment: datetime) -> str:
    """Return RFC 3339 in UTC with exactly six places: ``2026-01-31T08:00:00.000000Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"
