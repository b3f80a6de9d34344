"""Why a job is where it is: the facts by SQL, the judgement by ``jobs.policies.explain``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.actions.fleet import silent_seconds
from jobs.models import Job
from jobs.policies.explain import Explanation, WaitFacts, explain
from jobs.queries.formats import moment, select
from jobs.states import JOB_ENDS, JobStatus, Reason, task_id

# What is open, what could run it, and who is before it. The tenants' and fleet's figures come
# from leases, which are few. The queue is read by its key, one range per capability and up to a
# bound, so that a backlog of millions costs no more than one of thousands. Within a tenant the
# older job goes first; how much others have queued in the class is not this tenant's to know.
FACTS = """
with stage as (
    select coalesce(sum(open), 0)::int as open, coalesce(sum(blocked), 0)::int as blocked,
        coalesce(sum(open + succeeded + dead_lettered + cancelled), 0)::int as total,
        coalesce(sum(dead_lettered), 0)::int as dead_lettered
    from job_stage where job_id = %(job)s
), delayed_tasks as (
    select count(*)::int as backing_off,
        extract(epoch from min(due_at) - clock_timestamp())::float as next_retry
    from delayed where task_id >= %(low)s and task_id < %(high)s
), wanted as (
    select c.* from capability c where exists (
        select 1 from ready r where r.pool_id = %(pool)s and r.capability_id = c.id
            and r.priority = %(priority)s and r.tenant_id = %(tenant)s
            and r.task_id >= %(low)s and r.task_id < %(high)s)
), live as (
    select w.* from worker w where w.pool_id = %(pool)s and w.state = 'Active'
        and (w.tenant_id is null or w.tenant_id = %(tenant)s)
        and w.heartbeat_at > clock_timestamp() - make_interval(secs => %(silent)s)
), matching as (
    select live.* from live where exists (
        select 1 from wanted c
        where c.kind = any(live.kinds) and (c.model = '' or c.model = any(live.model_names)))
)
select stage.*, delayed_tasks.*,
    (select coalesce(sum(cardinality(task_ids)), 0)::int from lease where job_id = %(job)s)
        as running,
    (select count(*)::int from live) as live_workers,
    (select count(*)::int from matching) as matching_workers,
    (select coalesce(sum(free_slots), 0)::int from matching) as free_slots,
    (select coalesce(sum(cardinality(task_ids)), 0)::int from lease
        where pool_id = %(pool)s and tenant_id = %(tenant)s) as tenant_running,
    (select count(*)::int from (select 1 from capability c cross join lateral (
        select 1 from ready r where r.pool_id = %(pool)s and r.capability_id = c.id
            and r.priority > %(priority)s limit 10001) x limit 10001) higher)
        as higher_priority_queued,
    (select count(*)::int from (select 1 from capability c cross join lateral (
        select 1 from ready r where r.pool_id = %(pool)s and r.capability_id = c.id
            and r.priority = %(priority)s and r.tenant_id = %(tenant)s
            and r.task_id < %(low)s limit 10001) x limit 10001) ahead) as ahead_in_class,
    b.reserved_nano_usd, b.settled_nano_usd, b.task_ceiling_nano_usd,
    exists (select 1 from wanted) as has_ready
from stage cross join delayed_tasks left join budget b on b.job_id = %(job)s
"""


def explanation(job: Job) -> Explanation:
    """Why the job is where it is, from one statement."""
    return explain(_facts(job))


def explain_job(job: Job, *, now: datetime) -> dict[str, Any]:
    """Return the explanation in the contract's shape; one statement."""
    told = explanation(job)
    return {
        "reason": told.reason,
        "message": told.message,
        "numbers": [{"name": name, "value": value} for name, value in told.numbers],
        "helps": [{"change": change, "effect": effect} for change, effect in told.helps],
        "helps_not": list(told.helps_not),
        "as_of": moment(now),
    }


def with_reason(job: Job, document: dict[str, Any]) -> dict[str, Any]:
    """Return a job's document with reason and message as of now; ended jobs keep theirs."""
    if job.status in JOB_ENDS:
        return document
    told = explanation(job)
    return {**document, "reason": told.reason, "message": told.message}


def _facts(job: Job) -> WaitFacts:
    low, high = task_id(job.pk, 0), task_id(job.pk + 1, 0)
    parameters = {
        "job": job.pk,
        "low": low,
        "high": high,
        "pool": job.pool_id,
        "tenant": job.tenant_id,
        "priority": job.priority,
        "silent": silent_seconds(),
    }
    row = select(FACTS, parameters)[0]
    queued = max(row["open"] - row["blocked"] - row["running"], 0)
    return WaitFacts(
        status=JobStatus(job.status),
        end_reason=Reason(job.reason) if job.status in JOB_ENDS else None,
        end_message=job.message,
        total=row["total"],
        blocked=row["blocked"],
        queued=queued,
        running=row["running"],
        backing_off=row["backing_off"],
        dead_lettered=row["dead_lettered"],
        next_retry_seconds=row["next_retry"] or 0.0,
        live_workers=row["live_workers"],
        # Without a waiting task there is nothing that an agent could fail to match.
        matching_workers=row["matching_workers"] if row["has_ready"] else row["live_workers"],
        free_slots=row["free_slots"],
        max_parallelism=job.max_parallelism,
        tenant=job.tenant.name,
        tenant_limit=job.tenant.max_running_tasks,
        tenant_running=row["tenant_running"],
        higher_priority_queued=row["higher_priority_queued"],
        ahead_in_class=row["ahead_in_class"],
        limit_nano_usd=job.limit_nano_usd,
        settled_nano_usd=row["settled_nano_usd"] or 0,
        reserved_nano_usd=row["reserved_nano_usd"] or 0,
        next_ceiling_nano_usd=row["task_ceiling_nano_usd"] or 0,
        suspended=job.suspended_at is not None,
        pool=job.pool.name,
    )
