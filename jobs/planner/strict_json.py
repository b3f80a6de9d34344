"""JSON as strangers send it: refused early, by name, where a database or a reader would choke."""

import re
from typing import Any

import msgspec

from jobs.errors import MalformedBody
from jobs.planner.json_errors import plain_error

MAX_DEPTH = 32
LARGEST_INTEGER = 2**63 - 1
SMALLEST_INTEGER = -(2**63)
INTEGER_DIGITS = 19
"""Digits of the largest 64-bit integer."""

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
LONG_INTEGER = re.compile(rb"(?<![\d.eE+])-?\d{19,}(?![\d.eE])")
INNERMOST = re.compile(rb"\[,*\]|\{,*\}")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|[\[\]{}:]')

NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},"))
DIGITS_AS_NINE = bytes(ord("9") if chr(each).isdigit() else each for each in range(128)) + bytes(
    range(128, 256)
)


def parse_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode a JSON body of any shape.

    Raises MalformedBody for what is not plain JSON in UTF-8 (a byte order mark, NUL, half a
    surrogate pair, NaN, a repeated key at the top, an integer beyond 64 bits, nesting beyond
    ``max_depth``).
    """
    return parse_as(body, Any, max_depth=max_depth)


def parse_as(body: bytes, shape: Any, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode a JSON body into a msgspec type.

    Raises MalformedBody as ``parse_json`` does, InvalidRequest with the field where the shape
    does not fit.
    """
    _check_text(body)
    value = _decode(body, shape, max_depth)
    # Only now: in a body that is known to be JSON every string ends, so the cuts are right and
    # what looks at them takes time in proportion to the body.
    outside = _outside_strings(body)
    _check_integers(outside)
    _check_structure(body, outside, max_depth)
    return value


def _decode(body: bytes, shape: Any, max_depth: int) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise plain_error(str(error), shape) from None
    except msgspec.DecodeError as error:
        if SURROGATE.search(body):
            raise MalformedBody(
                "The body holds half of a surrogate pair (\\ud800 to \\udfff), or is not JSON: "
                f"{error}; send whole characters."
            ) from None
        raise MalformedBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise _too_deep(max_depth) from None


def _check_text(body: bytes) -> None:
    if not body.strip():
        raise MalformedBody("The body is empty; send a JSON object.")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise MalformedBody("The body starts with a byte order mark; send plain UTF-8 without one.")
    if b"\x00" in body or (b"\\u0000" in body and NUL.search(body)):
        raise MalformedBody("The body holds a NUL character (\\u0000); leave it out.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 at byte {error.start}; convert it.") from None


def _outside_strings(body: bytes) -> bytes:
    """The body without its strings; it must be known to be JSON."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b" ".join(body.split(b'"')[::2])


def _check_integers(outside: bytes) -> None:
    if b"9" * INTEGER_DIGITS not in outside.translate(DIGITS_AS_NINE):
        return
    for match in LONG_INTEGER.finditer(outside):
        text = match.group()
        digits = len(text.lstrip(b"-"))
        if digits > INTEGER_DIGITS or not SMALLEST_INTEGER <= int(text) <= LARGEST_INTEGER:
            shown = text[:24].decode() + ("…" if len(text) > 24 else "")
            raise MalformedBody(f"The integer {shown} needs more than 64 bits; send it as text.")


def _check_structure(body: bytes, outside: bytes, max_depth: int) -> None:
    """Take the innermost brackets away, level by level, until only the outermost are left."""
    left = outside.translate(None, NOT_STRUCTURE)
    for _ in range(max_depth):
        if not left or INNERMOST.fullmatch(left):
            return _check_keys(body, left)
        left = INNERMOST.sub(b"", left)
    raise _too_deep(max_depth)


def _check_keys(body: bytes, outermost: bytes) -> None:
    """As many keys as there are members; ``outermost`` has the top level's brackets and commas."""
    if outermost.startswith(b"{,"):
        keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if len(keys) <= outermost.count(b","):
            raise MalformedBody(f"The key {_repeated_key(body)!r} is there twice; send it once.")


def _repeated_key(body: bytes) -> str:
    depth, last = 0, ""
    seen: set[str] = set()
    for token in STRING.finditer(body.decode()):
        text = token.group()
        depth += (text in "[{") - (text in "]}")
        if text == ":" and depth == 1:
            if last in seen:
                break
            seen.add(last)
        elif text[0] == '"':
            last = msgspec.json.decode(text)
    return last[:100]


def _too_deep(max_depth: int) -> MalformedBody:
    return MalformedBody(f"The body is nested deeper than {max_depth} levels; flatten it.")
