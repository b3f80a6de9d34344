"""A new generation: dead letters of an ended or open job run again, and what hung on them."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from jobs.policies.reopening import Edge
from jobs.states import split_task_id
from jobs.transitions.sql import columns, fetch, integers

LOCK_KEYS: Final = 2**31 - 1
"""Advisory locks take two numbers of 32 bits; jobs that share one merely wait for each other."""

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

TASKS = "select id, stage, status from task where id = any(%s::bigint[]) order by id"

LOCK_TASKS = f"{TASKS} for update"

# Those that have ended stay as they are until the job is opened again, which waits for us.
LOCK_OPEN = """
select id from task
where id = any(%s::bigint[]) and status in ('Blocked', 'Queued', 'Running') order by id for update
"""

EDGES = "select parent_id, child_id, kind from edge where child_id = any(%s::bigint[])"

SPAWNED = """
select task_id from task_input
where job_id = any(%(jobs)s::bigint[]) and spawned_by = any(%(spawners)s::bigint[])
"""

# One after the other in the order given: requeues and retries of a job wait for each other here,
# without its row, which is locked last.
LOCK_JOBS = """
select pg_advisory_xact_lock(20263, key) from unnest(%s::int[]) as job(key)
"""

# What is left of the budget counts as it will once the job is open again: an ended job's budget
# row is gone and comes back with what its stages have spent.
JOBS = """
select j.id, j.tenant_id, t.name, p.name,
    j.cancel_requested_at is not null or j.status = 'Cancelled',
    j.failed_reason is not null and j.finished_at is null,
    j.limit_nano_usd is not null and dearest.nano_usd > 0 and coalesce(
        j.limit_nano_usd - coalesce(b.settled_nano_usd, spent.nano_usd) < dearest.nano_usd, false),
    coalesce(dearest.nano_usd, 0)
from job j
join tenant t on t.id = j.tenant_id
join pool p on p.id = j.pool_id
left join budget b on b.job_id = j.id
left join lateral (
    select sum(s.cost_nano_usd)::bigint as nano_usd from job_stage s where s.job_id = j.id) spent
    on b.job_id is null
left join lateral (
    select coalesce(b.task_ceiling_nano_usd, (select max(x.ceiling_nano_usd) from task x
        where x.id >= j.id << 20 and x.id < (j.id + 1) << 20)) as nano_usd) dearest
    on j.limit_nano_usd is not null
where j.id = any(%s::bigint[])
order by j.id
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
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'requeued', '{}'::text[], array[count(*)], clock_timestamp() from t having count(*) > 0
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

# Jobs by number, once and last. One that was cancelled, or is ending just now, stays as it is.
REOPEN_JOBS = """
with o as (
    select * from unnest(%(job)s::bigint[], %(tasks)s::text[], %(dearest)s::bigint[])
        as o(job, tasks, dearest)
), k as materialized (
    select id from job where id = any(%(job)s::bigint[]) order by id for update
), j as (
    update job set generation = generation + 1, finished_at = null, failed_reason = null,
        message = '', reason = 'WaitingForWorkers',
        deadline_at = case when deadline_at < now() then null else deadline_at end,
        status = case when suspended_at is not null then 'Suspended'
            when started_at is null then 'Pending' else 'Running' end
    where id in (select id from k) and status <> 'Cancelled' and cancel_requested_at is null
        and (failed_reason is null or finished_at is not null)
    returning id, limit_nano_usd
), b as (
    insert into budget (job_id, limit_nano_usd, task_ceiling_nano_usd, reserved_nano_usd,
        settled_nano_usd, overrun_nano_usd)
    select j.id, j.limit_nano_usd, o.dearest, 0,
        least(j.limit_nano_usd, coalesce((select sum(s.cost_nano_usd) from job_stage s
            where s.job_id = j.id), 0)), 0
    from j join o on o.job = j.id where j.limit_nano_usd is not null and o.dearest > 0
    on conflict (job_id) do nothing
), e as (
    insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
    select j.id, 'retried', clock_timestamp(), %(actor)s, o.tasks::bigint[], '{}'
    from j join o on o.job = j.id order by j.id
)
select id from j
"""


class FoundTask(NamedTuple):
    """A task as it was found before anything was changed."""

    id: int
    stage: int
    status: str


class JobFacts(NamedTuple):
    """What tells whether a job's dead letters may be opened again.

    ``dearest_nano_usd`` is the ceiling of its dearest task, 0 for a job without a budget.
    """

    job_id: int
    tenant_id: int
    tenant: str
    pool: str
    cancelled: bool
    ending: bool
    used_up: bool
    dearest_nano_usd: int


class Reopened(NamedTuple):
    """A job with the dead letters of it that are opened again, as an array literal."""

    job: int
    tasks: str
    dearest: int


def lock_jobs(jobs: Iterable[int]) -> None:
    """Let retries and requeues of a job wait for each other until the transaction ends."""
    keys = sorted({job % LOCK_KEYS for job in jobs})
    fetch(LOCK_JOBS, (integers(keys),))


def job_facts(jobs: Iterable[int]) -> list[JobFacts]:
    """The facts of these jobs as they are now; those that are not there are left out."""
    return [JobFacts(*row) for row in fetch(JOBS, (integers(sorted(jobs)),))]


def dead_letters(job: int) -> list[int]:
    """The job's dead-lettered tasks."""
    rows = fetch("select task_id from dead_letter where job_id = %s order by task_id", (job,))
    return [task for (task,) in rows]


def downstream(tasks: Sequence[int]) -> list[int]:
    """Tasks that hang on these and have to wait for them again."""
    return [task for (task,) in fetch(DOWNSTREAM, {"tasks": integers(tasks)})]


def edges_into(tasks: Sequence[int]) -> list[Edge]:
    """Every dependency of these tasks."""
    return [Edge(*row) for row in fetch(EDGES, (integers(tasks),))]


def lock(tasks: Sequence[int]) -> list[FoundTask]:
    """Lock tasks in key order."""
    return [FoundTask(*row) for row in fetch(LOCK_TASKS, (integers(tasks),))]


def lock_open(tasks: Sequence[int]) -> None:
    """Lock those of these tasks that have not ended, in key order."""
    fetch(LOCK_OPEN, (integers(tasks),))


def look(tasks: Sequence[int]) -> list[FoundTask]:
    """Tasks as they are, without a lock."""
    return [FoundTask(*row) for row in fetch(TASKS, (integers(tasks),))]


def spawned(spawners: Sequence[int]) -> list[int]:
    """What these tasks have spawned."""
    jobs = sorted({split_task_id(task)[0] for task in spawners})
    parameters = {"jobs": integers(jobs), "spawners": integers(spawners)}
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


def reopen_jobs(rows: Sequence[Reopened], *, actor: str) -> set[int]:
    """Open jobs for another generation; those missing from the answer were closed just now."""
    parameters = {"actor": actor, **columns(rows, Reopened._fields)}
    return {job for (job,) in fetch(REOPEN_JOBS, parameters)}
