"""JSON as strangers send it: refused early, by name, where a database or a reader would choke."""

import difflib
import re
from typing import Any, get_args

import msgspec

from jobs.errors import FieldError, InvalidRequest, MalformedBody

MAX_DEPTH = 32
LARGEST_INTEGER = 2**63 - 1

TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"(\s*:)?|[\[\]{}]')
"""Strings (with the colon that makes one a key) and brackets, all that depth needs."""

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")



def parse_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode a JSON body of any shape.

    Raises MalformedBody for what is not plain JSON in UTF-8 (a byte order mark, NUL, half a
    surrogate pair, NaN, a repeated key at the top, nesting beyond ``max_depth``).
    """
    return parse_as(body, Any, max_depth=max_depth)


def parse_as(body: bytes, shape: Any, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode a JSON body into a msgspec type.

    Raises MalformedBody as ``parse_json`` does, InvalidRequest with the field where the shape
    does not fit.
    """
    _check_text(body)
    _check_structure(body, max_depth)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _field_error(str(error), shape) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise _too_deep(max_depth) from None


def _check_text(body: bytes) -> None:
    if not body.strip():
        raise MalformedBody("The body is empty; send a JSON object.")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise MalformedBody("The body starts with a byte order mark; send plain UTF-8 without one.")
    if b"\x00" in body or NUL.search(body):
        raise MalformedBody("The body holds a NUL character (\\u0000); leave it out.")
    if SURROGATE.search(body):
        _check_surrogates(body)


def _check_surrogates(body: bytes) -> None:
    """A pair is an ordinary character; half of one is none, in no encoding."""
    try:
        msgspec.json.decode(body)
    except RecursionError:
        return
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedBody(
            "The body holds half of a surrogate pair (\\ud800 to \\udfff), or is not JSON; "
            "send whole characters."
        ) from None


def _check_structure(body: bytes, max_depth: int) -> None:
    depth = 0
    keys: set[bytes] = set()
    for token in TOKENS.finditer(body):
        text = token.group()
        if text in b"[{":
            depth += 1
            if depth > max_depth:
                raise _too_deep(max_depth)
        elif text in b"]}":
            depth -= 1
        elif depth == 1 and token.group(1):
            _check_repeated(text, keys)


def _check_repeated(key: bytes, keys: set[bytes]) -> None:
    name = key.rstrip(b": \t\r\n")
    if name in keys:
        shown = name.decode("utf-8", "replace")
        raise MalformedBody(f"The key {shown} is there twice; send each key once.")
    keys.add(name)


def _too_deep(max_depth: int) -> MalformedBody:
    return MalformedBody(f"The body is nested deeper than {max_depth} levels; flatten it.")


def _field_error(message: str, shape: Any) -> InvalidRequest:
    problem, _, path = message.partition(" - at `")
    place = path.rstrip("`").removeprefix("$").removeprefix(".")
    if match := UNKNOWN_FIELD.fullmatch(problem):
        return _unknown(match[1], place, shape)
    if match := MISSING_FIELD.fullmatch(problem):
        return InvalidRequest.field(_join(place, match[1]), "is missing; it is required")
    if problem.startswith("Invalid enum value"):
        return InvalidRequest.field(place, f"{problem[0].lower()}{problem[1:]}{_choices(place, shape)}")
    return InvalidRequest.field(place or "body", f"{problem[:1].lower()}{problem[1:]}")


def _choices(place: str, shape: Any) -> str:
    """The values a field at the top of the body may have."""
    for entry in msgspec.structs.fields(shape):
        if entry.encode_name == place:
            return f"; use one of: {', '.join(map(str, get_args(entry.type)))}"
    return ""


def _unknown(name: str, place: str, shape: Any) -> InvalidRequest:
    shown = name if len(name) <= 100 else name[:100] + "…"
    field = _join(place, shown)
    if place:
        return InvalidRequest.field(field, "is not a known field; see the API's documentation")
    known = sorted(entry.encode_name for entry in msgspec.structs.fields(shape))
    near = difflib.get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    text = f"is not a known field; {hint}known are: {', '.join(known)}"
    return InvalidRequest(f"{field}: {text}", fields=[FieldError(field, text)])


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
