"""What a submission rests on: its tenant, policy and pool, the endpoints, the live workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from access.models import Tenant
from jobs.actions.fleet import silent_seconds
from jobs.models import Policy, PolicyRevision, Pool
from jobs.policies.policy import EndpointSpec, PolicySpec, parse_policy
from jobs.transitions import premises

_endpoints = msgspec.json.Decoder(list[EndpointSpec])
_capabilities = msgspec.json.Decoder(list[tuple[str, str, int]])


@dataclass(frozen=True, slots=True)
class Premises:
    """As they were at one moment; None for what is not there. Rows have their names and keys."""

    tenant: Tenant | None
    revision: PolicyRevision | None
    policy: PolicySpec | None
    pool: Pool | None
    endpoints: Sequence[EndpointSpec]
    capabilities: Mapping[tuple[str, str], int]
    """Numbers of (kind, model); not necessarily of all there are."""
    live_workers: int
    """Active workers of the pool that serve the tenant and were heard of lately."""


def ask(*, tenant: str, policy: str) -> Premises:
    """Return the premises of a job of this tenant under this policy; one query, none kept."""
    row = premises.premises(
        tenant=tenant,
        policy=policy,
        default_pool=PolicySpec().pool,
        silent_seconds=silent_seconds(),
    )
    tenant_id, policy_name, revision, number, spec, pool, pool_name, endpoints, known, live = row
    return Premises(
        tenant=Tenant(pk=tenant_id, name=tenant) if tenant_id else None,
        revision=_revision(revision, number, policy_name) if revision else None,
        policy=parse_policy(spec) if revision else None,
        pool=Pool(pk=pool, name=pool_name) if pool else None,
        endpoints=_endpoints.decode(endpoints),
        capabilities={(kind, model): key for kind, model, key in _capabilities.decode(known)},
        live_workers=live,
    )


def endpoint_specs() -> list[EndpointSpec]:
    """The enabled model endpoints as the pure layers know them."""
    return _endpoints.decode(premises.endpoints())


def _revision(key: int, number: int, policy: str) -> PolicyRevision:
    return PolicyRevision(pk=key, number=number, policy=Policy(name=policy))
