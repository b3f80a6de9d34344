"""A new generation: dead letters of an ended or open job run again, and what hung on them."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.transitions.sql import execute, fetch, integers

# Everything downstream of the reopened tasks: dependents that were cancelled for them, and
# collectors that had already ended.
DOWNSTREAM = """
with recursive below as (
    select e.child_id as id from edge e where e.parent_id = any(%(tasks)s::bigint[])
    union
    select e.child_id from below join edge e on e.parent_id = below.id
)
select t.id from task t
where t.id in (select id from below)
order by t.id
"""

LOCK_TASKS = """
select id, stage, status from task where id = any(%s::bigint[]) order by id for update
"""

SPAWNED = """
select task_id from task_input
where job_id = %(job)s and spawned_by = any(%(spawners)s::bigint[])
"""

# The limits of time start anew with the generation: what was buried for its age may run.
REQUEUE = """
with t as (
    update task set status = 'Queued', generation = generation + 1, epoch = epoch + 1, attempt = 0,
        created_at = now(), workers_lost = 0, finished_at = null, queued_at = now(), result = null,
        result_sha256 = null
    where id = any(%(tasks)s::bigint[]) and status = 'DeadLettered'
    returning id, pool_id, capability_id, priority, tenant_id, stage, job_id
), r as (
    insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
    select pool_id, capability_id, priority, tenant_id, id from t
), d as (
    delete from dead_letter where task_id in (select id from t)
)
select id, stage from t order by id
"""

# What waits again counts its open parents anew, as they are after the requeue.
BLOCK = """
with t as (
    update task t set status = 'Blocked', generation = t.generation + 1, epoch = t.epoch + 1,
        attempt = 0, created_at = now(), workers_lost = 0, finished_at = null, queued_at = null,
        result = null,
        result_sha256 = null, error_code = null, error_message = null,
        waiting = (select count(*) from edge e join task p on p.id = e.parent_id
            where e.child_id = t.id and (p.id = any(%(reopened)s::bigint[])
                or p.status in ('Blocked', 'Queued', 'Running')))
    where t.id = any(%(tasks)s::bigint[])
    returning t.id, t.pool_id, t.capability_id, t.priority, t.tenant_id
), r as (
    delete from ready r using t where r.pool_id = t.pool_id and r.capability_id = t.capability_id
        and r.priority = t.priority and r.tenant_id = t.tenant_id and r.task_id = t.id
), w as (
    delete from delayed where task_id in (select id from t)
), d as (
    delete from dead_letter where task_id in (select id from t)
)
select id from t
"""

# A reopened spawner will spawn anew: its old children step aside, with their names freed.
SUPERSEDE = """
with old as (
    select i.task_id from task_input i where i.spawned_by = any(%(spawners)s::bigint[])
), e as (
    delete from edge where parent_id in (select task_id from old)
), n as (
    update task_input i set spawned_by = null, name = left(i.name, 230) || '~' || i.task_id
    where i.task_id in (select task_id from old)
)
select task_id from old
"""

REOPEN_JOB = """
with j as (
    update job set generation = generation + 1, finished_at = null, failed_reason = null,
        message = '', reason = 'WaitingForWorkers',
        deadline_at = case when deadline_at < now() then null else deadline_at end,
        status = case when suspended_at is not null then 'Suspended'
            when started_at is null then 'Pending' else 'Running' end
    where id = %(job)s and status <> 'Cancelled' and cancel_requested_at is null
        and (failed_reason is null or finished_at is not null)
    returning id, limit_nano_usd
), b as (
    insert into budget (job_id, limit_nano_usd, task_ceiling_nano_usd, reserved_nano_usd,
        settled_nano_usd, overrun_nano_usd)
    select j.id, j.limit_nano_usd, %(dearest)s, 0,
        least(j.limit_nano_usd, coalesce((select sum(s.cost_nano_usd) from job_stage s
            where s.job_id = j.id), 0)), 0
    from j where j.limit_nano_usd is not null and %(dearest)s > 0
    on conflict (job_id) do nothing
)
insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
select id, 'retried', clock_timestamp(), %(actor)s, %(tasks)s::bigint[], '{}' from j
"""


class LockedTask(NamedTuple):
    """A task this transaction has locked, as it was."""

    id: int
    stage: int
    status: str


def lock_job(job: int) -> None:
    """Let one retry of a job wait for another, without its row: that is locked last."""
    fetch("select pg_advisory_xact_lock(20263, (%s %% 2147483647)::int)", (job,))


def dead_letters(job: int) -> list[int]:
    """The job's dead-lettered tasks."""
    rows = fetch("select task_id from dead_letter where job_id = %s order by task_id", (job,))
    return [task for (task,) in rows]


def downstream(tasks: Sequence[int]) -> list[int]:
    """Tasks that hang on these and have to wait for them again."""
    return [task for (task,) in fetch(DOWNSTREAM, {"tasks": integers(tasks)})]


def lock(tasks: Sequence[int]) -> list[LockedTask]:
    """Lock tasks in key order."""
    return [LockedTask(*row) for row in fetch(LOCK_TASKS, (integers(tasks),))]


def spawned(job: int, spawners: Sequence[int]) -> list[int]:
    """What these tasks of the job have spawned."""
    parameters = {"job": job, "spawners": integers(spawners)}
    return [task for (task,) in fetch(SPAWNED, parameters)]


def requeue(tasks: Sequence[int]) -> list[tuple[int, int]]:
    """Dead-lettered tasks back to the queue as a new generation; returns ``(task, stage)``."""
    return fetch(REQUEUE, {"tasks": integers(tasks)})


def block(tasks: Sequence[int]) -> list[int]:
    """Make tasks wait for their parents again; each has at least one that is open by now."""
    rows = fetch(BLOCK, {"tasks": integers(tasks), "reopened": integers(tasks)})
    return [task for (task,) in rows]


def supersede(spawners: Sequence[int]) -> list[int]:
    """Cut what these tasks spawned from the plan; returns the old tasks."""
    return [task for (task,) in fetch(SUPERSEDE, {"spawners": integers(spawners)})]


def reopen_job(job: int, tasks: Sequence[int], *, actor: str) -> bool:
    """Open the job for another generation; False when it is cancelled, or ending just now."""
    dearest = fetch(
        "select coalesce(max(ceiling_nano_usd), 0) from task "
        "where id >= %s::bigint << 20 and id < (%s::bigint + 1) << 20",
        (job, job),
    )[0][0]
    parameters = {"job": job, "tasks": integers(tasks), "actor": actor, "dearest": dearest}
    return execute(REOPEN_JOB, parameters) == 1
