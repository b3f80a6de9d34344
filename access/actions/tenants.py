"""Make tenants before their first request does, with a share and a limit."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from access.actions.audited import Trail, audited, require_operator
from access.actors import Actor
from access.errors import AlreadyThere, BadField
from access.models import Tenant
from access.scopes import NAME_RULE, TENANT_NAME
from audit.events import INTERNAL, Action, Origin

DEFAULT_WEIGHT: Final = 100
"""One share; a tenant that is made by its first request gets the same."""

MOST: Final = 1_000_000
"""Bound of weight and limit: beyond it a typing error is likelier than a wish."""


def create_tenant(
    name: str,
    *,
    actor: Actor,
    weight: int = DEFAULT_WEIGHT,
    max_running_tasks: int | None = None,
    origin: Origin = INTERNAL,
) -> Tenant:
    """Make a tenant. ``weight`` is in hundredths of a share; the limit holds in each pool.

    Raises BadField, AlreadyThere, and NotAllowed for callers who are no operators.
    """
    named = name if TENANT_NAME.fullmatch(name) else ""
    trail = Trail(Action.TENANT_CREATE, actor, origin, named, named)
    with audited(trail):
        require_operator(actor)
        _check(name, weight, max_running_tasks)
        return _insert(trail, name, weight, max_running_tasks)


@transaction.atomic
def _insert(trail: Trail, name: str, weight: int, most: int | None) -> Tenant:
    tenant, made = Tenant.objects.get_or_create(
        name=name, defaults={"weight": weight, "max_running_tasks": most}
    )
    if not made:
        raise AlreadyThere(f"There is a tenant called {name} already; nothing was changed.")
    trail.details["weight"] = weight
    if most is not None:
        trail.details["max_running_tasks"] = most
    trail.done()
    return tenant


def _check(name: str, weight: int, most: int | None) -> None:
    if TENANT_NAME.fullmatch(name) is None:
        raise BadField("name", NAME_RULE)
    if not 1 <= weight <= MOST:
        raise BadField("weight", f"use a whole number from 1 to {MOST}; 100 is one share")
    if most is not None and not 1 <= most <= MOST:
        raise BadField("max_running_tasks", f"use a whole number from 1 to {MOST}, or leave it out")
