"""Whether a request came by https, as a proxy that is trusted says."""

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


def _is_trusted(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in settings.DAEF_TRUSTED_PROXIES)
