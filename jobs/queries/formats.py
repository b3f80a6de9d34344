"""How values are written in answers: times, money, and rows by their column names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.db import connection

NANO_PER_USD: Final = 10**9


def moment(value: datetime | None) -> str | None:
    """Return an RFC 3339 time in UTC with milliseconds, or None."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usd(nano_usd: int) -> float:
    """Return dollars of nano-USD; exact to the last of nine digits up to nine million dollars."""
    return nano_usd / NANO_PER_USD


def usd_or_none(nano_usd: int | None) -> float | None:
    """Return dollars, or None where there is no amount."""
    return None if nano_usd is None else usd(nano_usd)


def stored_json(text: str | None) -> msgspec.Raw | None:
    """Return JSON text so that it goes into an answer as it is, neither parsed nor built again."""
    return None if text is None else one_line(text.encode())


def one_line(text: bytes) -> msgspec.Raw:
    """Return JSON text without line breaks; those inside strings are escaped, hence untouched."""
    if b"\n" in text or b"\r" in text:
        return msgspec.Raw(msgspec.json.format(text, indent=-1))
    return msgspec.Raw(text)


def select(statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run a read and return its rows by column name."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def page(items: Sequence[Any], *, total: int, limit: int, offset: int) -> dict[str, Any]:
    """Return the list envelope without ``next``, which only the door with its address can fill."""
    return {"items": items, "total": total, "limit": limit, "offset": offset}
