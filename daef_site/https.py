"""What proxies that are trusted say of a request: whether it came by https, and from whom."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

Handler = Callable[[HttpRequest], HttpResponseBase]


class TrustedProxyMiddleware:
    """Believes ``X-Forwarded-Proto`` from ``DAEF_TRUSTED_PROXIES`` alone.

    The header itself stays: it tells the door without tokens that a proxy is between.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, its transport noted."""
        told, noted = request.META.get("HTTP_X_FORWARDED_PROTO"), settings.SECURE_PROXY_SSL_HEADER
        if told and noted and _is_trusted(request.META.get("REMOTE_ADDR", "")):
            request.META[noted[0]] = told
        return self.get_response(request)


def client_address(request: HttpRequest) -> str:
    """Return who stands before the proxies that are trusted; the peer itself where none is.

    Good for counting attempts, not for letting anybody in: a trusted peer could write anything.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    named = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    chain = [peer, *(address.strip() for address in reversed(named) if address.strip())]
    return next((address for address in chain if not _is_trusted(address)), chain[-1])


def _is_trusted(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in settings.DAEF_TRUSTED_PROXIES)
