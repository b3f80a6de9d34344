"""Operators declare policies, endpoints, tenants and pools: the same document changes nothing."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.db.models import Model

from access.actions.audited import Trail, audited
from access.actors import Actor
from access.models import Tenant
from audit.events import INTERNAL, Action, Origin
from audit.recorder import DETAIL_CHARACTERS, Detail
from jobs.actions.trails import verdict
from jobs.actions.transactions import in_transaction
from jobs.errors import PreconditionFailed
from jobs.models import ModelEndpoint, Policy, PolicyRevision, Pool
from jobs.planner.declarations import (
    EndpointSettings,
    PoolSettings,
    Spec,
    TenantSettings,
    changed_fields,
    entity_tag,
)
from jobs.policies.policy import PolicySpec, parse_policy
from jobs.transitions.sql import fetch

ACTIONS: Final = {
    "policies": Action.POLICY_PUT,
    "endpoints": Action.ENDPOINT_PUT,
    "tenants": Action.TENANT_PUT,
    "pools": Action.POOL_PUT,
}

# One declaration at a time: what a condition was checked against is what is replaced.
TURN: Final = "select pg_advisory_xact_lock(20265, 1)"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the caller knows: ETags of If-Match (``*`` for any), and ``If-None-Match: *``."""

    if_match: tuple[str, ...] = ()
    only_new: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """An object as it is now; ``revision`` counts a policy's, and is 0 for the others."""

    name: str
    spec: Spec
    revision: int = 0
    created: bool = False


def declare(
    *,
    kind: str,
    name: str,
    spec: Spec,
    condition: Condition,
    actor: Actor,
    origin: Origin = INTERNAL,
) -> Declared:
    """Make the object of this kind and name what ``spec`` says.

    Raises PreconditionFailed when it is not as the caller thinks.
    """
    tenant = name if kind == "tenants" else ""
    trail = Trail(ACTIONS[kind], actor, origin, target=name, tenant=tenant)
    with audited(trail, verdict):
        return _declare(kind, name, spec, condition, trail)


def declared(kind: str, name: str) -> Declared | None:
    """Return the object as it is now, None where there is none of this name."""
    return READERS[kind](name)


@in_transaction
def _declare(kind: str, name: str, spec: Spec, condition: Condition, trail: Trail) -> Declared:
    fetch(TURN)
    before = declared(kind, name)
    _check(condition, before)
    if before is not None and before.spec == spec:
        return before
    WRITERS[kind](name, spec)
    after = declared(kind, name)
    assert after is not None
    trail.details |= _recorded(before, after)
    trail.done()
    return Declared(after.name, after.spec, after.revision, created=before is None)


def _recorded(before: Declared | None, after: Declared) -> dict[str, Detail]:
    """What the audit log keeps: a policy's revision, and the names of the settings that changed."""
    details: dict[str, Detail] = {"revision": after.revision} if after.revision else {}
    if before is not None:
        names = ", ".join(changed_fields(before.spec, after.spec))
        details["fields"] = textwrap.shorten(names, DETAIL_CHARACTERS, placeholder=" …")
    return details


def _check(condition: Condition, before: Declared | None) -> None:
    if condition.only_new and before is not None:
        raise PreconditionFailed("If-None-Match: * was sent, and there is such an object already.")
    if not condition.if_match:
        return
    tag = entity_tag(before.spec) if before else None
    if tag is None or not {"*", tag} & set(condition.if_match):
        raise PreconditionFailed(
            "The object is not as If-Match says: read it again, and send its ETag."
        )


def _read_policy(name: str) -> Declared | None:
    policy = Policy.objects.select_related("current").filter(name=name).first()
    if policy is None or policy.current is None:
        return None
    return Declared(name, parse_policy(json.dumps(policy.current.spec)), policy.current.number)


def _write_policy(name: str, spec: Spec) -> None:
    policy, _ = Policy.objects.get_or_create(name=name)
    newest = policy.revisions.order_by("-number").values_list("number", flat=True).first()
    policy.current = PolicyRevision.objects.create(
        policy=policy, number=(newest or 0) + 1, spec=msgspec.to_builtins(spec)
    )
    policy.save(update_fields=["current"])


def _reader(
    model: type[Model], shape: type[EndpointSettings | TenantSettings | PoolSettings]
) -> Callable[[str], Declared | None]:
    fields = shape.__struct_fields__

    def read(name: str) -> Declared | None:
        row = model._default_manager.filter(name=name).values(*fields).first()
        return None if row is None else Declared(name, shape(**row))

    return read


def _writer(model: type[Model]) -> Callable[[str, Spec], None]:
    def write(name: str, spec: Spec) -> None:
        values: dict[str, Any] = msgspec.to_builtins(spec)
        model._default_manager.update_or_create(name=name, defaults=values)

    return write


READERS: Final[Mapping[str, Callable[[str], Declared | None]]] = {
    "policies": _read_policy,
    "endpoints": _reader(ModelEndpoint, EndpointSettings),
    "tenants": _reader(Tenant, TenantSettings),
    "pools": _reader(Pool, PoolSettings),
}
WRITERS: Final[Mapping[str, Callable[[str, Spec], None]]] = {
    "policies": _write_policy,
    "endpoints": _writer(ModelEndpoint),
    "tenants": _writer(Tenant),
    "pools": _writer(Pool),
}
MODELS: Final[Mapping[str, type[Model]]] = {
    "policies": Policy,
    "endpoints": ModelEndpoint,
    "tenants": Tenant,
    "pools": Pool,
}
"""Whose names are listed, by kind."""


def declared_names(kind: str, *, limit: int, offset: int) -> tuple[list[str], int]:
    """Return the names of one page of objects of a kind, and how many there are."""
    rows = MODELS[kind]._default_manager.order_by("name").values_list("name", flat=True)
    if kind == "policies":
        rows = rows.filter(current__isnull=False)
    return list(rows[offset : offset + limit]), rows.count()


__all__ = ["Condition", "Declared", "PolicySpec", "declare", "declared", "declared_names"]
