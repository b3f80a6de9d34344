"""What a field of a resource says about itself: its description, its bounds, its name in REST.

Each function makes the annotation of one kind of field. The schema generator, the page of reference
and the translation into REST bodies read nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta

NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""Lower-case letters, digits and inner hyphens: tenants and pools, as the API takes them."""

POLICY_NAME = r"^[A-Za-z0-9][-._A-Za-z0-9]*$"
NOT_BLANK = r"\S"
MICROS_PER_USD = 1_000_000


@dataclass(frozen=True)
class Rule:
    """A CEL rule. ``field`` is the path, below the object that bears it, that is to blame."""

    rule: str
    message: str
    field: str = ""


@dataclass(frozen=True)
class InRest:
    """Where a field stands in the body of REST, dotted, and how its value is written there."""

    path: str
    written: Callable[[Any], Any] = lambda value: value


def text(
    description: str,
    longest: int,
    *,
    shortest: int = 0,
    pattern: str | None = None,
    form: str = "",
    rest: InRest | None = None,
) -> Meta:
    """A string of bounded length; ``form`` is a format of OpenAPI."""
    return Meta(
        description=description,
        min_length=shortest or None,
        max_length=longest,
        pattern=pattern,
        extra={"rest": rest, "form": form},
    )


def moment(description: str) -> Meta:
    """A time in RFC 3339."""
    return text(description, 64, form="date-time")


def word(description: str, rest: InRest | None = None) -> Meta:
    """One of a closed list of words; the list is the field's type."""
    return Meta(description=description, extra={"rest": rest})


def number(description: str, least: int, most: int, rest: InRest | None = None) -> Meta:
    """A whole number; its unit is part of the field's name, or it counts things."""
    return Meta(description=description, ge=least, le=most, extra={"rest": rest})


def flag(description: str, rest: InRest | None = None) -> Meta:
    """True or false."""
    return Meta(description=description, extra={"rest": rest})


def part(description: str) -> Meta:
    """An object with fields of its own."""
    return Meta(description=description, extra={})


def items(
    description: str,
    most: int,
    *,
    least: int = 0,
    kind: str = "atomic",
    key: str = "",
    rest: InRest | None = None,
) -> Meta:
    """A list: ``atomic``, a ``set``, or a ``map`` whose objects differ in the field ``key``."""
    return Meta(
        description=description,
        min_length=least or None,
        max_length=most,
        extra={"rest": rest, "list": kind, "key": key},
    )


def mapping(description: str, most: int, rest: InRest | None = None) -> Meta:
    """Names and values."""
    return Meta(description=description, max_length=most, extra={"rest": rest})


def in_rest(path: str) -> InRest:
    """The same value under this name."""
    return InRest(path)


def lower_case(path: str) -> InRest:
    """Kubernetes writes words of closed lists in CamelCase, REST in lower case."""
    return InRest(path, lambda value: [w.lower() for w in value] if _many(value) else value.lower())


def dollars(path: str) -> InRest:
    """Millionths of a dollar as dollars; none for 0."""
    return InRest(path, lambda micros: micros / MICROS_PER_USD if micros else None)


def hundredth(path: str) -> InRest:
    """Hundredths as a fraction."""
    return InRest(path, lambda value: value / 100)


def or_none(path: str) -> InRest:
    """0 stands for no bound."""
    return InRest(path, lambda value: value or None)


def taken_apart(hint: Any) -> tuple[Any, Meta]:
    """The type of a field, without ``None``, and what is said about it."""
    some = [each for each in get_args(hint) if each is not type(None)]
    if type(None) in get_args(hint):
        hint = some[0]
    if get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__[0]
    return hint, Meta()


def _many(value: Any) -> bool:
    return isinstance(value, list | tuple)
