"""Whether other machines can reach this fabric, by what its settings say."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from daef_site import env

HTTP: Final = "http"
GRPC: Final = "grpc"
EVERY_DOOR: Final = frozenset({HTTP, GRPC})


def exposure(doors: frozenset[str] = EVERY_DOOR) -> str:
    """How other machines may reach these doors, for a message; "" when they may not."""
    addresses = [
        env.shown_address(*address)
        for door, address in ((HTTP, settings.DAEF_HTTP_ADDR), (GRPC, settings.DAEF_GRPC_ADDR))
        if door in doors and not env.is_loopback(address[0])
    ]
    if addresses:
        return f"{' and '.join(addresses)} can be reached from other machines"
    if HTTP in doors and settings.DAEF_PUBLIC_HOSTS:
        return f"other machines call it {settings.DAEF_PUBLIC_HOSTS[0]} (DAEF_ALLOWED_HOSTS)"
    if HTTP in doors and settings.DAEF_HTTPS:
        return "a proxy serves it to others (DAEF_HTTPS)"
    return ""
