"""Tokens and tenants as operators see them: never a secret, nor what stands for one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from access.actors import ANY_TENANT, TENANT_PREFIX
from access.errors import NoSuchToken
from access.models import ApiToken, Tenant
from access.scopes import TENANT_NAME
from access.token_text import PREFIX, SHOWN_CHARACTERS, digest_of, is_intact

ACTIVE: Final = "active"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"


def find_token(identifier: str) -> ApiToken:
    """Return the token of this name, of this beginning, or the one that this text is.

    Raises NoSuchToken, also where several begin alike.
    """
    found = list(_called(identifier)[:2])
    if len(found) > 1:
        raise NoSuchToken("Several tokens begin like that; give the name.")
    if not found:
        raise NoSuchToken(
            "There is no such token; `python manage.py list_tokens` lists them. Those of "
            "DAEF_API_TOKENS are not among them: take them out there and restart."
        )
    return found[0]


def _called(identifier: str) -> QuerySet[ApiToken]:
    if is_intact(identifier):
        return ApiToken.objects.filter(digest=digest_of(identifier))
    if identifier.startswith(PREFIX) and len(identifier) == SHOWN_CHARACTERS:
        return ApiToken.objects.filter(prefix=identifier)
    known = TENANT_NAME.fullmatch(identifier) is not None
    return ApiToken.objects.filter(name=identifier) if known else ApiToken.objects.none()


def list_tokens(*, now: datetime, limit: int, offset: int) -> dict[str, Any]:
    """Return a page of tokens by name, those that were revoked or have expired too."""
    tokens = ApiToken.objects.all()
    page = tokens[offset : offset + limit]
    return {
        "items": [token_document(token, now=now) for token in page],
        "total": tokens.count(),
        "limit": limit,
        "offset": offset,
    }


def newest_tokens(
    *, now: datetime, limit: int, state: str = "", before: int | None = None
) -> list[ApiToken]:
    """Return tokens that were made last, of one state or all, those before a row's id only."""
    tokens = ApiToken.objects.filter(_in_state(state, now)).order_by("-id")
    return list(tokens.filter(id__lt=before)[:limit] if before else tokens[:limit])


def tokens_of(tenant: str, *, now: datetime, limit: int = 20) -> list[dict[str, Any]]:
    """Return the active tokens that name a tenant, the newest first."""
    active = ApiToken.objects.filter(_in_state(ACTIVE, now)).order_by("-id")
    named = active.filter(scopes__contains=[f"{TENANT_PREFIX}{tenant}"])
    return [token_document(token, now=now) for token in named[:limit]]


def count_tokens(*, now: datetime, most: int) -> dict[str, int]:
    """Return how many tokens are in each state, and how many active ones never expire.

    Each count stops at ``most``.
    """
    never = _in_state(ACTIVE, now) & Q(expires_at=None)
    asked = {state: _in_state(state, now) for state in (ACTIVE, EXPIRED, REVOKED)}
    return {
        name: ApiToken.objects.filter(which)[:most].count()
        for name, which in {**asked, "never_expire": never}.items()
    }


def _in_state(state: str, now: datetime) -> Q:
    """The condition of a state; of none where that is empty."""
    in_time = Q(expires_at=None) | Q(expires_at__gt=now)
    return {
        ACTIVE: Q(revoked_at=None) & in_time,
        EXPIRED: Q(revoked_at=None, expires_at__lte=now),
        REVOKED: Q(revoked_at__isnull=False),
    }.get(state, Q())


def token_document(token: ApiToken, *, now: datetime) -> dict[str, Any]:
    """Return what may be shown of a token."""
    return {
        "name": token.name,
        "prefix": token.prefix,
        "state": state_of(token, now=now),
        "scopes": token.scopes,
        "description": token.description,
        "requests_per_minute": token.requests_per_minute,
        "created_by": token.created_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
    }


def state_of(token: ApiToken, *, now: datetime) -> str:
    """Return ``active``, ``expired`` or ``revoked``."""
    if token.revoked_at is not None:
        return REVOKED
    return EXPIRED if token.expires_at is not None and token.expires_at <= now else ACTIVE


def unknown_tenants(scopes: Iterable[str]) -> list[str]:
    """Return the tenants that scopes name and that are not there (yet)."""
    named = {
        scope.removeprefix(TENANT_PREFIX)
        for scope in scopes
        if scope.startswith(TENANT_PREFIX) and scope != ANY_TENANT
    }
    return sorted(named - set(Tenant.objects.filter(name__in=named).values_list("name", flat=True)))


def tenant_document(tenant: Tenant) -> dict[str, Any]:
    """Return a tenant with its share (in hundredths) and its limit in each pool."""
    return {
        "name": tenant.name,
        "weight": tenant.weight,
        "max_running_tasks": tenant.max_running_tasks,
        "created_at": tenant.created_at,
    }
