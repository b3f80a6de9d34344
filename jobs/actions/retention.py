"""Finished jobs are kept for a while, then deleted with everything they own.

The keeper does some of it every minute. An operator may do it at once, and on record.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from access.actions.audited import Trail, audited
from access.actors import Actor
from access.models import Tenant
from audit.events import INTERNAL, Action, Origin, Result
from jobs.actions.trails import verdict
from jobs.actions.transactions import in_transaction
from jobs.errors import InvalidRequest, NotFound
from jobs.queries.retention import Amounts, kept_no_longer
from jobs.transitions import removal

JOBS_PER_PASS = 50
TASKS_PER_PASS: Final = 50_000
"""Tasks that one pass deletes with their jobs; a single larger job goes alone."""

KEYS_PER_PASS: Final = 10_000
"""Of each table of keys."""

IDEMPOTENCY_HOURS = 24
"""How long an Idempotency-Key finds its job, as the API promises."""

MOST_DAYS: Final = 36_500
MOST_JOBS: Final = 1_000
"""Bounds of what an operator may ask for; more jobs a batch would hold locks for long."""


@dataclass(frozen=True)
class Pruning:
    """What to prune: jobs that ended more than ``days`` days ago, of one tenant or all.

    ``jobs`` bounds a batch.
    """

    days: int
    tenant: str = ""
    jobs: int = JOBS_PER_PASS


def clean_up(*, days: int) -> dict[str, int]:
    """Delete some of what is no longer kept; returns how much of each.

    Usage entries and the audit log stay. Claims never wait for it: only ended jobs are touched.
    """
    return {
        "old jobs deleted": delete_old_jobs(days=days),
        "idempotency keys forgotten": forget_keys(),
        "artifacts deleted": delete_unused_artifacts(days=days),
    }


@in_transaction
def delete_old_jobs(*, days: int) -> int:
    """Delete some jobs that ended more than ``days`` days ago; returns how many."""
    found = removal.ended_before(days=days, limit=JOBS_PER_PASS, most_tasks=TASKS_PER_PASS)
    return removal.delete_jobs(found)


@in_transaction
def forget_keys() -> int:
    """Delete idempotency records that are older than promised; returns how many."""
    return removal.delete_keys(hours=IDEMPOTENCY_HOURS, limit=KEYS_PER_PASS)


@in_transaction
def delete_unused_artifacts(*, days: int) -> int:
    """Delete old blobs that neither a file nor a kept job's result names; returns how many."""
    return removal.delete_unused_artifacts(days=days)


def prune(wanted: Pruning, *, actor: Actor, origin: Origin = INTERNAL) -> Amounts:
    """Delete one batch of what is no longer kept; all zero where nothing was left.

    One transaction and, where something was deleted, one entry in the audit log. Of a tenant only
    jobs are pruned. Raises InvalidRequest and NotFound.
    """
    with audited(_trail(wanted, actor, origin), verdict) as trail:
        tenant = _checked(wanted)
        trail.tenant = wanted.tenant
        return _prune(wanted, tenant, trail)


def try_pruning(wanted: Pruning, *, actor: Actor, origin: Origin = INTERNAL) -> Amounts:
    """Return what `prune` would delete in as many batches as it takes; changes nothing.

    Leaves one entry with the result ``dry_run``. Raises InvalidRequest and NotFound.
    """
    with audited(_trail(wanted, actor, origin), verdict) as trail:
        tenant = _checked(wanted)
        trail.tenant = wanted.tenant
        return _try(wanted, tenant, trail)


@in_transaction
def _prune(wanted: Pruning, tenant: int | None, trail: Trail) -> Amounts:
    found = removal.ended_before(
        days=wanted.days, limit=wanted.jobs, most_tasks=TASKS_PER_PASS, tenant=tenant
    )
    tasks = removal.tasks_of(found)
    jobs = removal.delete_jobs(found)
    shared = tenant is None
    done = Amounts(
        jobs=jobs,
        tasks=tasks,
        keys=removal.delete_keys(hours=IDEMPOTENCY_HOURS, limit=KEYS_PER_PASS) if shared else 0,
        artifacts=removal.delete_unused_artifacts(days=wanted.days) if shared else 0,
    )
    if done != Amounts():
        trail.done(**asdict(done))
    return done


@in_transaction
def _try(wanted: Pruning, tenant: int | None, trail: Trail) -> Amounts:
    found = kept_no_longer(days=wanted.days, hours=IDEMPOTENCY_HOURS, tenant=tenant)
    trail.done(result=Result.DRY_RUN, **asdict(found))
    return found


def _trail(wanted: Pruning, actor: Actor, origin: Origin) -> Trail:
    return Trail(Action.PRUNE, actor, origin, details={"days": wanted.days})


def _checked(wanted: Pruning) -> int | None:
    """The tenant's number, None for all."""
    if not 1 <= wanted.days <= MOST_DAYS:
        raise InvalidRequest.field("days", f"use a whole number from 1 to {MOST_DAYS:,}")
    if not 1 <= wanted.jobs <= MOST_JOBS:
        raise InvalidRequest.field("jobs", f"use a whole number from 1 to {MOST_JOBS:,}")
    if not wanted.tenant:
        return None
    tenant = Tenant.objects.filter(name=wanted.tenant.replace("\0", "")).first()
    if tenant is None:
        raise NotFound(f"there is no tenant called {wanted.tenant[:63]!a}")
    return tenant.pk
