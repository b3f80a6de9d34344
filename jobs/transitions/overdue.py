"""What the controllers look for: leases, tasks and jobs whose time is over."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.policies import causes
from jobs.transitions.sql import execute, fetch, integers

# The lease row is locked while it is expired, so that a heartbeat that comes at the same moment
# either renewed it before (then it is not found) or finds it gone. Tasks that a settlement holds
# are left for the next pass.
EXPIRED = """
with l as materialized (
    select l.id, l.owner, l.task_ids, l.expires_at >= l.close_at as closed
    from lease l where l.expires_at < clock_timestamp()
        and l.job_id <> all(%(without)s::bigint[]) and l.job_id = coalesce(%(job)s, l.job_id)
    order by l.id limit %(chunk)s for update skip locked
), t as materialized (
    select t.id, t.epoch, t.owner, t.attempt, t.max_attempts,
        extract(epoch from clock_timestamp() - t.created_at)::float as age, t.job_id
    from task t where t.id = any(array(select unnest(l.task_ids) from l))
    order by t.id for update skip locked
)
select t.id, t.epoch, t.owner, t.attempt, t.max_attempts, t.age, j.schedule_to_close_seconds,
    (select bool_or(l.closed) from l where t.id = any(l.task_ids) and l.owner = t.owner)
from t join job j on j.id = t.job_id
where exists (select 1 from l where l.owner = t.owner and t.id = any(l.task_ids))
"""

# One that ran out this moment was not seen yet; one that ran out before is held by somebody.
NEXT_EXPIRY = """
select extract(epoch from min(expires_at) - clock_timestamp())::float from lease
where expires_at > clock_timestamp() - interval '100 milliseconds'
"""

# A lease none of whose tasks is its owner's any more has nothing left to protect.
DROP_EMPTY = """
delete from lease l where l.expires_at < clock_timestamp() - interval '1 second'
    and not exists (select 1 from task t where t.id = any(l.task_ids)
        and t.owner = l.owner and t.status = 'Running')
"""

DUE = """
with d as (
    delete from delayed where task_id = any(array(
        select task_id from delayed where due_at <= clock_timestamp()
        order by due_at limit %(chunk)s for update skip locked))
    returning task_id
)
insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
select t.pool_id, t.capability_id, t.priority, t.tenant_id, t.id
from task t where t.id = any(array(select task_id from d)) and t.status = 'Queued'
on conflict do nothing
"""

# One probe per capability and pool, whatever the backlog; agents that could come are counted once.
POOLS_WITH_WORK = """
select p.name, (select count(*) from worker w where w.pool_id = p.id and w.state = 'Active'
        and w.free_slots > 0
        and w.heartbeat_at > clock_timestamp() - make_interval(secs => %(silent_seconds)s))
from pool p cross join lateral (
    select 1 from ready r where r.pool_id = p.id
    order by r.capability_id, r.priority, r.tenant_id, r.task_id limit 1) r
"""

CLOSING = """
select id, failed_reason from job
where finished_at is null and (cancel_requested_at is not null or failed_reason is not null)
order by id limit 100
"""

PAST_DEADLINE = """
select id from job where finished_at is null and deadline_at < clock_timestamp()
    and failed_reason is null and cancel_requested_at is null order by id limit 100
"""

# Nothing is reserved and not even one task fits into what is left.
OUT_OF_BUDGET = """
select b.job_id from budget b join job j on j.id = b.job_id
where j.finished_at is null and j.failed_reason is null and j.cancel_requested_at is null
    and b.reserved_nano_usd = 0
    and b.limit_nano_usd - b.settled_nano_usd < b.task_ceiling_nano_usd
    and exists (select 1 from job_stage s where s.job_id = j.id and s.open > 0)
order by b.job_id limit 100
"""

# Jobs old enough that a waiting task of theirs may have waited too long; then their tasks, a range
# of the key for each job, whatever the planner believes of how many there are.
WAITED_TOO_LONG = """
with found as materialized (
    select t.id from job j cross join lateral (
        select t.id from task t where t.id >= j.id << 20 and t.id < (j.id + 1) << 20
            and t.status = 'Queued' and (
            t.queued_at < clock_timestamp() - make_interval(secs => j.schedule_to_start_seconds)
            or t.created_at
                < clock_timestamp() - make_interval(secs => j.schedule_to_close_seconds))
        order by t.id limit %(chunk)s) t
    where j.finished_at is null and j.suspended_at is null
        and j.id <> all(%(without)s::bigint[]) and j.id = coalesce(%(job)s, j.id)
        and j.created_at < clock_timestamp() - make_interval(secs =>
            least(j.schedule_to_start_seconds, j.schedule_to_close_seconds))
    order by t.id limit %(chunk)s
), t as materialized (
    select t.id, t.job_id, t.stage, t.queued_at, t.created_at from task t
    where t.id = any(array(select id from found)) and t.status = 'Queued'
    order by t.id for update skip locked
), w as (
    select t.id, t.job_id, t.stage,
        t.queued_at < clock_timestamp() - make_interval(secs => j.schedule_to_start_seconds)
            as to_start,
        t.created_at < clock_timestamp() - make_interval(secs => j.schedule_to_close_seconds)
            as to_close
    from t join job j on j.id = t.job_id
)
select id, job_id, stage, case when to_start then 'schedule_to_start_exceeded'
    else 'schedule_to_close_exceeded' end
from w where to_start or to_close order by id
"""

BURY_WAITING = """
with t as (
    update task set status = 'DeadLettered', finished_at = clock_timestamp(),
        error_code = o.code, error_message = o.message
    from unnest(%(id)s::bigint[], %(code)s::text[], %(message)s::text[], %(fingerprint)s::text[])
        as o(id, code, message, fingerprint)
    where task.id = o.id and task.status = 'Queued'
    returning task.id, task.job_id, task.tenant_id, task.pool_id, task.capability_id,
        task.priority, task.stage, task.kind, task.fanout, task.error_code, task.error_message,
        o.fingerprint
), r as (
    delete from ready r using t where r.pool_id = t.pool_id and r.capability_id = t.capability_id
        and r.priority = t.priority and r.tenant_id = t.tenant_id and r.task_id = t.id
), d as (
    delete from delayed d using t where d.task_id = t.id
), dl as (
    insert into dead_letter (task_id, job_id, tenant_id, kind, error_code, error_message,
        fingerprint, buried_at)
    select id, job_id, tenant_id, kind, error_code, error_message, fingerprint, clock_timestamp()
    from t
)
select id, job_id, stage, fanout from t
"""


class ExpiredShare(NamedTuple):
    """A share whose lease has run out; ``closed`` when start-to-close ended it."""

    id: int
    epoch: int
    owner: int
    attempt: int
    max_attempts: int
    age_seconds: float
    schedule_to_close_seconds: float | None
    closed: bool


class BuriedTask(NamedTuple):
    """A waiting task that went to the dead letters."""

    id: int
    job_id: int
    stage: int
    fanout: int


def expired_shares(
    *, chunk: int, job: int | None = None, without: Sequence[int] = ()
) -> list[ExpiredShare]:
    """Shares of up to ``chunk`` expired leases, locked with their tasks.

    Of one job where it is named, of none of the jobs ``without``.
    """
    parameters = {"chunk": chunk, "job": job, "without": integers(without)}
    return [ExpiredShare(*row) for row in fetch(EXPIRED, parameters)]


def jobs_with_expired_leases(*, limit: int) -> list[int]:
    """Some jobs that lost a worker, the oldest first."""
    statement = (
        "select distinct job_id from lease where expires_at < clock_timestamp() "
        "order by job_id limit %s"
    )
    return [job for (job,) in fetch(statement, (limit,))]


def next_expiry_seconds() -> float | None:
    """In how many seconds the next lease runs out; None without any."""
    seconds: float | None = fetch(NEXT_EXPIRY)[0][0]
    return seconds


def drop_empty_leases() -> int:
    """Delete expired leases that hold nothing any more."""
    return execute(DROP_EMPTY)


def move_due(*, chunk: int) -> int:
    """Put backed-off tasks whose time has come into the queue; returns how many."""
    return execute(DUE, {"chunk": chunk})


def pools_with_work(*, silent_seconds: float) -> list[tuple[str, int]]:
    """Pools that have ready tasks, with how many live workers have a free slot."""
    return fetch(POOLS_WITH_WORK, {"silent_seconds": silent_seconds})


def closing_jobs() -> list[tuple[int, str | None]]:
    """Jobs that are asked to end or have to fail: ``(job, failed_reason)``."""
    return fetch(CLOSING)


def jobs_past_deadline() -> list[int]:
    """Open jobs whose deadline has passed."""
    return [job for (job,) in fetch(PAST_DEADLINE)]


def jobs_out_of_budget() -> list[int]:
    """Open jobs that cannot pay for even one more task."""
    return [job for (job,) in fetch(OUT_OF_BUDGET)]


def waited_too_long(
    *, chunk: int, job: int | None = None, without: Sequence[int] = ()
) -> list[tuple[int, int, int, str]]:
    """Queued tasks past schedule-to-start or schedule-to-close: ``(task, job, stage, code)``.

    Of one job where it is named, of none of the jobs ``without``.
    """
    return fetch(WAITED_TOO_LONG, {"chunk": chunk, "job": job, "without": integers(without)})


def jobs_with_impatient_tasks(*, limit: int) -> list[int]:
    """Some open jobs old enough that tasks of theirs may have waited too long."""
    statement = (
        "select id from job where finished_at is null and suspended_at is null "
        "and created_at < clock_timestamp() - make_interval(secs => "
        "least(schedule_to_start_seconds, schedule_to_close_seconds)) order by id limit %s"
    )
    return [job for (job,) in fetch(statement, (limit,))]


def bury_waiting(tasks: list[tuple[int, str, str]]) -> list[BuriedTask]:
    """Send queued ``(task, code, message)`` to the dead letters."""
    parameters = {
        "id": integers(task for task, _, _ in tasks),
        "code": [code for _, code, _ in tasks],
        "message": [message for _, _, message in tasks],
        "fingerprint": [causes.fingerprint(code, message) for _, code, message in tasks],
    }
    return [BuriedTask(*row) for row in fetch(BURY_WAITING, parameters)]
