"""Reading request bodies: once, bounded, and only in the content types that were promised."""

from __future__ import annotations

from typing import Final

from rest_framework.request import Request

from jobs.errors import MalformedBody, UnsupportedMediaType

JSON_TYPE: Final = "application/json"
UTF8_NAMES: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def json_bytes(request: Request) -> bytes:
    """Return the body of a JSON request, not yet parsed.

    Raises UnsupportedMediaType, and MalformedBody for one that is empty or cut short.
    """
    check_content_type(request, (JSON_TYPE,))
    body = read_body(request)
    if not body.strip():
        raise MalformedBody("The body is empty: send a JSON object.")
    return body


def has_body(request: Request) -> bool:
    """Tell whether a body came, for requests that may go without one."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def check_content_type(request: Request, allowed: tuple[str, ...]) -> str:
    """Return the media type when it is one of `allowed`, in UTF-8; else UnsupportedMediaType."""
    media_type, *parameters = request.META.get("CONTENT_TYPE", "").split(";")
    media_type = media_type.strip().lower()
    if media_type not in allowed:
        shown = ascii(media_type[:60]) if media_type else "none"
        raise UnsupportedMediaType(
            f"Content-Type is {shown}; send one of: {', '.join(allowed)} (UTF-8)."
        )
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in UTF8_NAMES:
            raise UnsupportedMediaType("The charset must be utf-8.")
    return media_type


def read_body(request: Request) -> bytes:
    """Return the body, whose length the middleware has looked at; MalformedBody when cut short."""
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    body = request._request.read(length) if length else b""
    if len(body) < length:
        raise MalformedBody("The body ended before its Content-Length.")
    return body
