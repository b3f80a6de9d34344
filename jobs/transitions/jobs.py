"""A job's counters, budget and end."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobs.states import JobStatus, Reason
from jobs.transitions.sql import columns, execute, fetch, integers

LOCK_STAGES = """
select job_id from job_stage where job_id = any(%s::bigint[]) order by job_id, stage for update
"""

# All stages of a job are locked, in key order, before one is written: whoever comes second sees
# the first one's counts, so exactly one transaction sees the job's last task end.
COUNT = """
with d as (
    select * from unnest(%(job_id)s::bigint[], %(stage)s::int[], %(open)s::int[],
        %(blocked)s::int[], %(succeeded)s::int[], %(dead_lettered)s::int[], %(cancelled)s::int[],
        %(input_tokens)s::bigint[], %(output_tokens)s::bigint[], %(cost_nano_usd)s::bigint[])
        as d(job_id, stage, open, blocked, succeeded, dead_lettered, cancelled, input_tokens,
            output_tokens, cost_nano_usd)
), k as materialized (
    select s.* from job_stage s where s.job_id = any(%(jobs)s::bigint[])
    order by s.job_id, s.stage for update
), c as (
    update job_stage s set open = k.open + d.open, blocked = k.blocked + d.blocked,
        succeeded = k.succeeded + d.succeeded, dead_lettered = k.dead_lettered + d.dead_lettered,
        cancelled = k.cancelled + d.cancelled, input_tokens = k.input_tokens + d.input_tokens,
        output_tokens = k.output_tokens + d.output_tokens,
        cost_nano_usd = k.cost_nano_usd + d.cost_nano_usd
    from d, k
    where s.job_id = d.job_id and s.stage = d.stage and k.job_id = d.job_id and k.stage = d.stage
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'tasks', array[j.pool_id::text, j.priority::text], array[sum(d.open), sum(d.blocked),
        sum(d.succeeded), sum(d.dead_lettered), sum(d.cancelled)]::bigint[], clock_timestamp()
    from d join job j on j.id = d.job_id group by j.pool_id, j.priority
)
select k.job_id, sum(k.open + coalesce(d.open, 0))::int,
    sum(k.succeeded + coalesce(d.succeeded, 0))::int,
    sum(k.dead_lettered + coalesce(d.dead_lettered, 0))::int,
    sum(k.cancelled + coalesce(d.cancelled, 0))::int
from k left join d on d.job_id = k.job_id and d.stage = k.stage
group by k.job_id order by k.job_id
"""

SETTLE_BUDGETS = """
with d as (
    select * from unnest(%(job_id)s::bigint[], %(released)s::bigint[], %(spent)s::bigint[],
        %(overrun)s::bigint[]) as d(job_id, released, spent, overrun)
), k as materialized (
    select b.job_id from budget b where b.job_id = any(%(job_id)s::bigint[])
    order by b.job_id for update
)
update budget b set reserved_nano_usd = b.reserved_nano_usd - d.released,
    settled_nano_usd = b.settled_nano_usd + d.spent,
    overrun_nano_usd = b.overrun_nano_usd + d.overrun
from d, k where b.job_id = d.job_id and k.job_id = d.job_id
"""

INSERT_EVENTS = """
insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
select e.job_id, e.kind, clock_timestamp(), %(actor)s, e.task_ids::bigint[], e.details::jsonb
from unnest(%(job_id)s::bigint[], %(kind)s::text[], %(task_ids)s::text[], %(details)s::text[])
    as e(job_id, kind, task_ids, details)
order by e.job_id
"""

END_FACTS = """
select j.id, j.cancel_requested_at is not null, j.failed_reason, j.max_failed_percent,
    exists (select 1 from task t where t.id >= j.id << 20 and t.id < (j.id + 1) << 20
        and t.fanout = 0 and t.status = 'Succeeded'), j.generation
from job j where j.id = any(%s::bigint[]) and j.finished_at is null order by j.id
"""

END_JOB = """
with j as (
    update job set status = %(status)s, reason = %(reason)s, message = %(message)s,
        finished_at = clock_timestamp()
    where id = %(job)s and finished_at is null returning id, type
), b as (
    delete from budget where job_id = %(job)s
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'jobs', array[j.type, %(status)s::text], array[1]::bigint[], clock_timestamp() from j
)
insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
select id, 'ended', clock_timestamp(), '', '{}',
    jsonb_build_object('status', %(status)s::text, 'reason', %(reason)s::text)
from j
"""


class StageDelta(NamedTuple):
    """What a transaction adds to one stage's counters."""

    job_id: int
    stage: int
    open: int = 0
    blocked: int = 0
    succeeded: int = 0
    dead_lettered: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0


class JobTotals(NamedTuple):
    """A job's counters over all its stages, after a change."""

    job_id: int
    open: int
    succeeded: int
    dead_lettered: int
    cancelled: int


class BudgetDelta(NamedTuple):
    """What ended shares give back to, book on and overdraw of a job's budget (nano-USD)."""

    job_id: int
    released: int
    spent: int
    overrun: int


class EventRow(NamedTuple):
    """One job's part in a transaction: ``task_ids`` an array literal, ``details`` JSON text."""

    job_id: int
    kind: str
    task_ids: str
    details: str


class EndFacts(NamedTuple):
    """What decides how a job without open tasks ends."""

    job_id: int
    cancel_requested: bool
    failed_reason: str | None
    max_failed_percent: float | None
    final_succeeded: bool
    generation: int


def lock_stages(jobs: Sequence[int]) -> None:
    """Lock all stage rows of these jobs in key order."""
    fetch(LOCK_STAGES, (integers(sorted(jobs)),))


def merged(deltas: Iterable[StageDelta]) -> list[StageDelta]:
    """One delta per stage, in key order."""
    sums: dict[tuple[int, int], list[int]] = {}
    for delta in deltas:
        counts = sums.setdefault(delta[:2], [0] * 8)
        for index, value in enumerate(delta[2:]):
            counts[index] += value
    return [StageDelta(*key, *sums[key]) for key in sorted(sums)]


def count(deltas: Iterable[StageDelta]) -> list[JobTotals]:
    """Add to the stages' counters; returns the new totals of each job touched."""
    rows = merged(deltas)
    if not rows:
        return []
    parameters = columns(rows, StageDelta._fields)
    parameters["jobs"] = integers(sorted({row.job_id for row in rows}))
    return [JobTotals(*row) for row in fetch(COUNT, parameters)]


def settle_budgets(deltas: Sequence[BudgetDelta]) -> None:
    """Give back reservations and book what was spent."""
    if deltas:
        fetch(SETTLE_BUDGETS, columns(sorted(deltas), BudgetDelta._fields))


def record_events(rows: Sequence[EventRow], *, actor: str) -> None:
    """One event per job and transaction."""
    if rows:
        fetch(INSERT_EVENTS, {"actor": actor, **columns(rows, EventRow._fields)})


def end_facts(jobs: Sequence[int]) -> list[EndFacts]:
    """The facts for ending these jobs; those that have ended already are left out."""
    return [EndFacts(*row) for row in fetch(END_FACTS, (integers(jobs),))]


def end_job(job: int, *, status: JobStatus, reason: Reason, message: str) -> None:
    """Write the job's one end."""
    fetch(END_JOB, {"job": job, "status": status, "reason": reason, "message": message})


def request_cancel(job: int, *, actor: str) -> bool:
    """Ask an open job to end; False when it was asked before or has ended."""
    return _flag_job(
        "cancel_requested_at = now()", "cancel_requested_at is null", job, "cancel_requested", actor
    )


def suspend(job: int, *, actor: str) -> bool:
    """Take no new claims; running tasks finish. False when it was suspended or has ended."""
    return _flag_job(
        "suspended_at = now(), status = 'Suspended', reason = 'Suspended'",
        "suspended_at is null and cancel_requested_at is null and failed_reason is null",
        job,
        "suspended",
        actor,
    )


def resume(job: int, *, actor: str) -> bool:
    """Allow claims again; False when it was not suspended."""
    return _flag_job(
        "suspended_at = null, reason = 'WaitingForWorkers', "
        "status = case when started_at is null then 'Pending' else 'Running' end",
        "suspended_at is not null",
        job,
        "resumed",
        actor,
    )


def fail(job: int, reason: Reason) -> bool:
    """Note that an open job has to fail; what is left of it is cancelled by the caller's sweep."""
    statement = (
        "update job set failed_reason = %s where id = %s and finished_at is null "
        "and failed_reason is null and cancel_requested_at is null"
    )
    return execute(statement, (reason, job)) == 1


def stale_reasons(*, seconds: float, limit: int) -> list[int]:
    """Some open jobs whose reason was not looked at lately, longest ago first."""
    rows = fetch(
        "select id from job where finished_at is null and (reason_checked_at is null "
        "or reason_checked_at < clock_timestamp() - make_interval(secs => %s)) "
        "order by reason_checked_at nulls first, id limit %s",
        (seconds, limit),
    )
    return [job for (job,) in rows]


def note_reason(job: int, *, reason: Reason, message: str) -> None:
    """Write why an open job is where it is; its status is never touched."""
    execute(
        "update job set reason = %s, message = %s, reason_checked_at = clock_timestamp() "
        "where id = %s and finished_at is null",
        (reason, message, job),
    )


def _flag_job(change: str, guard: str, job: int, event: str, actor: str) -> bool:
    statement = f"""
    with j as (
        update job set {change} where id = %(job)s and finished_at is null and {guard} returning id
    )
    insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
    select id, %(event)s, clock_timestamp(), %(actor)s, '{{}}', '{{}}' from j
    """  # nosec B608
    return execute(statement, {"job": job, "event": event, "actor": actor}) == 1
