"""What does not fit a shape, said in plain English: the field, what is wrong, what to write."""

import difflib
import re
from typing import Any

from msgspec import inspect

from jobs.errors import InvalidRequest, MalformedBody

PLACE = re.compile(r"(?P<problem>.*) - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
STEP = re.compile(r"\.([^.\[\]]+)|\[([^\]]*)\]")
UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")
WRONG_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
WRONG_LENGTH = re.compile(r"Expected `([^`]*)` of length (<=|>=) (\d+)")
NO_LINE_BREAK = r"(?!\\n)"
"""Part of patterns, since Python's $ also stands before a line break at the end; as it is told."""

WRONG_FORM = re.compile(r"Expected `str` matching regex '(.*)'", re.DOTALL)
WRONG_SIZE = re.compile(r"Expected `([^`]*)` (<=|>=|<|>) (.*)")

KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
UNITS = {"str": "characters", "array": "entries", "object": "entries"}
BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
MOST_SHOWN = 100


def plain_error(message: str, shape: Any) -> InvalidRequest:
    """The error for a msgspec ValidationError's ``message`` about a body of type ``shape``."""
    problem, path, in_key = message, "", False
    if match := PLACE.fullmatch(message):
        problem, path, in_key = match["problem"], match["path"], bool(match["key"])
    place = path.removeprefix(".")
    kind = _kind_at(inspect.type_info(shape), path)
    if match := UNKNOWN_FIELD.fullmatch(problem):
        shown = match[1] if len(match[1]) <= MOST_SHOWN else match[1][:MOST_SHOWN] + "…"
        return InvalidRequest.field(_join(place, shown), _unknown(match[1], kind))
    if match := MISSING_FIELD.fullmatch(problem):
        return InvalidRequest.field(_join(place, match[1]), "is missing; it is required")
    if problem.endswith("out of range"):
        text = "holds a number that needs more than 64 bits; use a smaller one, or text"
        return MalformedBody.field(place or "body", text)
    text = _plain(problem, kind)
    return InvalidRequest.field(place or "body", f"each key {text}" if in_key else text)


def _plain(problem: str, kind: inspect.Type | None) -> str:
    if problem.startswith("Invalid enum value"):
        given = problem.removeprefix("Invalid enum value ")[:MOST_SHOWN]
        return f"{given} is not known; use one of: {', '.join(_choices(kind))}"
    if match := WRONG_TYPE.fullmatch(problem):
        return f"must be {_named(match[1])}, not {_named(match[2])}"
    if match := WRONG_LENGTH.fullmatch(problem):
        return _length(match[1], match[2], int(match[3]))
    if match := WRONG_FORM.fullmatch(problem):
        return f"must have the form {match[1].strip('^$').replace(NO_LINE_BREAK, '')}"
    if match := WRONG_SIZE.fullmatch(problem):
        return f"must be {BOUNDS[match[2]]} {_figure(match[3])}"
    return f"{problem[:1].lower()}{problem[1:]}"


def _named(kinds: str) -> str:
    """``int | null`` as ``a whole number``: null is what leaving the field out means."""
    names = [KINDS.get(kind, kind) for kind in kinds.split(" | ")]
    return " or ".join(name for name in names if name != "null" or len(names) == 1)


def _length(kind: str, relation: str, bound: int) -> str:
    if relation == ">=" and bound == 1:
        return "must not be empty"
    unit = UNITS.get(kind.split(" | ")[0], "entries")
    return f"must have {BOUNDS[relation]} {bound:,} {unit}"


def _figure(text: str) -> str:
    value = float(text)
    return f"{int(value):,}" if value.is_integer() else text


def _unknown(name: str, kind: inspect.Type | None) -> str:
    known = sorted(
        field.encode_name
        for option in _options(kind)
        if isinstance(option, inspect.StructType)
        for field in option.fields
    )
    near = difflib.get_close_matches(name[:MOST_SHOWN], known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"is not a known field; {hint}known are: {', '.join(known)}"


def _choices(kind: inspect.Type | None) -> list[str]:
    return [
        str(value)
        for option in _options(kind)
        if isinstance(option, inspect.LiteralType)
        for value in option.values
    ]


def _kind_at(kind: inspect.Type | None, path: str) -> inspect.Type | None:
    for step in STEP.finditer(path):
        kind = next(filter(None, (_inside(each, step[1]) for each in _options(kind))), None)
    return kind


def _inside(kind: inspect.Type, name: str | None) -> inspect.Type | None:
    """The type of a struct's field ``name``, or of a list's or dictionary's entries."""
    if isinstance(kind, inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == name), None)
    if isinstance(kind, inspect.ListType):
        return kind.item_type
    return kind.value_type if isinstance(kind, inspect.DictType) else None


def _options(kind: inspect.Type | None) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.UnionType):
        return tuple(kind.types)
    return (kind,) if kind is not None else ()


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
