"""Typed query parameters: each endpoint declares its own; the rest is refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from rest_framework.request import Request

from jobs.errors import FieldError, InvalidRequest

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 10**9

# int() takes digits of every script, signs, blanks and underscores; an address should not.
WHOLE_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
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
                return datetime.fromisoformat(candidate.upper()).astimezone(UTC)
            except (ValueError, OverflowError):
                pass
        raise ValueError("use an RFC 3339 time such as 2026-11-23T09:30:00Z")


@dataclass(frozen=True)
class Text:
    """A printable word of bounded length."""

    most: int = 255
    default: str | None = None

    def read(self, text: str) -> str:
        """Read text without control characters or lone surrogates."""
        if 0 < len(text) <= self.most and text.isprintable():
            return text
        raise ValueError(f"use 1 to {self.most} printable characters")


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
