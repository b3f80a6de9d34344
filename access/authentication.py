"""Finding out who asks: bearer tokens, or an open door on loopback while no token is configured."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from access.actors import LOCAL_OPERATOR, Actor
from access.database_tokens import look_up
from access.errors import BadCredentials, NotAllowed, SuspectBody
from access.token_text import PREFIX, is_intact
from access.tokens import any_token, identify, well_formed

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
QUERY_NAMES: Final = ("token", "access_token", "api_key", "apikey", "authorization")
PROXY_HEADERS: Final = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)
# What a page of another site can send without asking first (Fetch standard, CORS-safelisted).
SAFELISTED_TYPES: Final = frozenset(
    {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)
CHALLENGE: Final = 'Bearer realm="daef"'


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>`` and nothing else: no cookies, no token in the address."""

    def authenticate(self, request: Request) -> tuple[Actor, Actor] | None:
        """Return the caller twice (as ``request.user`` and ``request.auth``), or None.

        Raises BadCredentials for a token that is misplaced, malformed or unknown.
        """
        _refuse_token_in_query(request)
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is not None:
            actor = authenticate_header(header)
            return actor, actor
        if any_token():
            return None
        _check_open_door(request)
        return LOCAL_OPERATOR, LOCAL_OPERATOR

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that goes with every 401."""
        return CHALLENGE


def authenticate_header(header: str) -> Actor:
    """Return whose ``Bearer …`` this is, with at most one query; shared by REST and gRPC.

    Raises BadCredentials for a token that is no good, RateExceeded for one that is used too much.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise BadCredentials("Authorization must read 'Bearer <token>'.")
    if not well_formed(token):
        raise BadCredentials(
            "The token is malformed: send exactly one Authorization header 'Bearer <token>'."
        )
    actor = identify(token) or _identify_by_database(token)
    if actor is None:
        raise BadCredentials("The token is not known here; ask an operator for a valid one.")
    return actor


def _identify_by_database(token: str) -> Actor | None:
    if not token.startswith(PREFIX):
        return None
    if not is_intact(token):
        raise BadCredentials(
            "The token is mistyped or cut short: its checksum is wrong. Copy it as a whole, from "
            f"'{PREFIX}' to its last character."
        )
    return look_up(token)


def is_loopback(address: str) -> bool:
    """Tell whether a peer's address is this machine's own."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _refuse_token_in_query(request: Request) -> None:
    for name in request.query_params:
        if name.lower() in QUERY_NAMES:
            raise BadCredentials(
                f"A token in the address ends up in logs: take '{name}' out of the query string "
                "and send the header 'Authorization: Bearer <token>'."
            )


def _check_open_door(request: Request) -> None:
    """Without tokens only this machine is served, and no page of another site through a browser."""
    if not is_loopback(request.META.get("REMOTE_ADDR", "")) or _came_by_proxy(request):
        raise BadCredentials("Without tokens only loopback is served; set DAEF_API_TOKENS.")
    if _host_name(request.META.get("HTTP_HOST", "")) not in LOOPBACK_NAMES:
        raise BadCredentials(
            "Without tokens the Host must be localhost, 127.0.0.1 or [::1]; set DAEF_API_TOKENS "
            "to use another name."
        )
    origin = request.META.get("HTTP_ORIGIN")
    if origin is not None and _origin_name(origin) not in LOOPBACK_NAMES:
        raise NotAllowed("Without tokens pages of other sites are refused; set DAEF_API_TOKENS.")
    if _may_come_from_a_form(request):
        raise SuspectBody(
            "Without tokens a body needs 'Content-Type: application/json' (files also text/csv "
            "or application/x-ndjson); set DAEF_API_TOKENS to lift this."
        )


def _came_by_proxy(request: Request) -> bool:
    return any(name in request.META for name in PROXY_HEADERS)


def _may_come_from_a_form(request: Request) -> bool:
    """Command line clients may send a file as a form; a browser says what it is by itself."""
    if request.method in {"GET", "HEAD", "OPTIONS"} or not _has_body(request):
        return False
    content_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    from_browser = "HTTP_ORIGIN" in request.META or "HTTP_SEC_FETCH_SITE" in request.META
    if content_type == "multipart/form-data" and not from_browser:
        return False
    return content_type in SAFELISTED_TYPES


def _has_body(request: Request) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length.strip() != "0" or "HTTP_TRANSFER_ENCODING" in request.META


def _host_name(host: str) -> str:
    name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _origin_name(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""
