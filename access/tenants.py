"""Which tenant a request is for."""

from __future__ import annotations

from typing import Final

from access.actors import Actor
from access.errors import BadTenant, NotAllowed
from access.models import Tenant
from access.scopes import NAME_RULE, TENANT_NAME

DEFAULT_TENANT: Final = "default"


def tenant_name(asked: str | None, actor: Actor) -> str:
    """Return the tenant's name: the one asked for, else the token's only one, else ``default``.

    Raises BadTenant (misspelt, or several to choose from) and NotAllowed (another's tenant).
    """
    if asked is None:
        return _only_tenant(actor)
    if TENANT_NAME.fullmatch(asked) is None:
        raise BadTenant(NAME_RULE)
    if not actor.owns(asked):
        raise NotAllowed(
            f"The token does not speak for the tenant '{asked}'; leave tenant out or use a token "
            f"with the scope tenant:{asked}."
        )
    return asked


def resolve_tenant(asked: str | None, actor: Actor) -> Tenant:
    """Return the row of the request's tenant, made on first use. Raises as `tenant_name` does."""
    tenant, _ = Tenant.objects.get_or_create(name=tenant_name(asked, actor))
    return tenant


def _only_tenant(actor: Actor) -> str:
    names = actor.tenant_names()
    if names == "*":
        return DEFAULT_TENANT
    if not names:
        raise NotAllowed("This needs a token with the scope tenant:<name>.")
    if len(names) > 1:
        raise BadTenant(f"the token has several tenants, say which: {', '.join(sorted(names))}")
    return next(iter(names))
