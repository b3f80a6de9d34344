"""Deciding whether the caller may: each view names the scope it needs, and silence means no."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from access.actors import OPERATOR, Actor
from access.errors import BadCredentials, NotAllowed

if TYPE_CHECKING:
    # DRF's views import this module by name while they are imported themselves.
    from rest_framework.views import APIView

Scope = Literal["tenant", "operator", "metrics", "public"]
SCOPES: Final = frozenset({"tenant", "operator", "metrics", "public"})

log = logging.getLogger(__name__)


class HasScope(BasePermission):
    """The default permission. A view sets ``scope``; without it every request is denied.

    ``operators_read = True`` besides lets operators read a tenant's view; such a view shows them
    metadata only.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise BadCredentials (no caller) or NotAllowed (scope missing)."""
        scope = getattr(view, "scope", None)
        if scope not in SCOPES:
            log.error("view %s names no scope and is denied", type(view).__name__)
            raise NotAllowed("This address is closed: it names no scope.")
        if scope == "public":
            return True
        return _check(request, scope, operators_read=getattr(view, "operators_read", False))


def _check(request: Request, scope: str, *, operators_read: bool) -> bool:
    actor = request.auth
    if not isinstance(actor, Actor):
        raise BadCredentials("Send the header 'Authorization: Bearer <token>'.")
    if actor.may(scope):
        return True
    if operators_read and request.method in SAFE_METHODS and actor.may(OPERATOR):
        return True
    needed = "tenant:<name>" if scope == "tenant" else scope
    raise NotAllowed(f"This needs a token with the scope {needed}.")
