"""Typed query parameters: each endpoint declares its own; the rest is refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from rest_framework.request import Request

from access.scopes import NAME_RULE, TENANT_NAME
from jobs.errors import FieldError, InvalidRequest

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 10**9

# int() takes digits of every script, signs, blanks and underscores; an address should not.
WHOLE_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,30})?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)

# Neither control characters nor what cannot be seen or turns the direction of reading: such text
# lies in logs and on pages. ECMA 262 and Python read the class alike, so the schema shows it too.
PLAIN: Final = (
    r"[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


class Parameter(Protocol):
    """One query parameter: how its text is read, and what it is when absent."""

    @property
    def default(self) -> Any:
        """Return what the parameter is when it was not given."""

    def read(self, text: str) -> Any:
        """Return the value; raises ValueError whose message is the remedy."""


@dataclass(frozen=True)
class Number:
    """A whole number within bounds."""

    default: int
    least: int
    most: int

    def read(self, text: str) -> int:
        """Read ASCII digits only."""
        if WHOLE_NUMBER.fullmatch(text) and self.least <= int(text) <= self.most:
            return int(text)
        raise ValueError(f"use a whole number from {self.least} to {self.most}")


@dataclass(frozen=True)
class Choice:
    """One word of a closed list."""

    known: tuple[str, ...]
    default: str | None = None

    def read(self, text: str) -> str:
        """Read exactly one of the known words."""
        if text in self.known:
            return text
        raise ValueError(f"unknown value; known: {', '.join(self.known)}")


@dataclass(frozen=True)
class Flag:
    """``true`` or ``false``."""

    default: bool = False

    def read(self, text: str) -> bool:
        """Read the two words and nothing else."""
        if text in {"true", "false"}:
            return text == "true"
        raise ValueError("use true or false")


@dataclass(frozen=True)
class Moment:
    """An RFC 3339 time with its offset."""

    default: datetime | None = None

    def read(self, text: str) -> datetime:
        """Read a time; a blank where the + of an offset was not encoded is forgiven."""
        candidate = text.replace(" ", "+") if text.count(" ") == 1 else text
        if TIMESTAMP.fullmatch(candidate):
            try:
                return _in_utc(datetime.fromisoformat(candidate.upper()))
            except ValueError:
                pass
        raise ValueError("use an RFC 3339 time such as 2026-11-23T09:30:00Z")


@dataclass(frozen=True)
class Text:
    """A word of bounded length, `pattern` in full; `remedy` says what that is."""

    most: int = 255
    default: str | None = None
    pattern: str = f"{PLAIN}+"
    remedy: str = ""

    def read(self, text: str) -> str:
        """Read text of these characters, without lone surrogates."""
        if len(text) <= self.most and re.fullmatch(self.pattern, text) and _is_whole(text):
            return text
        raise ValueError(self.remedy or f"use 1 to {self.most} visible characters")


TENANT: Final = Text(63, pattern=TENANT_NAME.pattern, remedy=NAME_RULE)

PAGE: Final[Mapping[str, Parameter]] = {
    "limit": Number(DEFAULT_LIMIT, 1, MAX_LIMIT),
    "offset": Number(0, 0, MAX_OFFSET),
}


def read_query(request: Request, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return a value for every known parameter. Raises InvalidRequest that names each wrong one."""
    query = request.query_params
    errors = [_unknown(name, known) for name in query if name not in known]
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        given = query.getlist(name)
        try:
            values[name] = _read_one(given, parameter)
        except ValueError as error:
            errors.append(FieldError(name, str(error)))
    if errors:
        raise _refusal(errors)
    return values


def _in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; one that its offset takes beyond the calendar is its edge."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_one(given: list[str], parameter: Parameter) -> Any:
    if not given:
        return parameter.default
    if len(given) > 1:
        raise ValueError("give it once")
    return parameter.read(given[0])


def _unknown(name: str, known: Iterable[str]) -> FieldError:
    listed = ", ".join(known) or "none"
    return FieldError(_printable(name), f"unknown query parameter; known: {listed}")


def _refusal(errors: list[FieldError]) -> InvalidRequest:
    shown = errors[:20]
    detail = "; ".join(f"{error.field}: {error.message}" for error in shown[:3])
    return InvalidRequest(detail, fields=shown)


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) <= 64 else ascii(name[:64])
