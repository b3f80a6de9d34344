"""Ready tasks become running ones: the only way into ``Running``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobs.policies.fairness import UNLIMITED
from jobs.policies.isolation import ALONE_FROM, runs_alone
from jobs.transitions.sql import fetch, fetch_each, integers

MAX_CLAIM = 512
"""Most tasks in one answer. Compared with 256 it saved a tenth of everybody's time for each task
when measured; beyond it an agent would hold more than a tenth of a second of very short tasks."""

CLOSE_GRACE_SECONDS = 3.0
"""An agent ends an attempt at start-to-close itself, within two seconds, and says so; the lease
ends it only where the agent did not."""

POOL_IDLE_SECONDS = 5.0
"""Longest pause between two statements under a pool's lock: a control plane that was stopped or cut
off in the middle of a claim then loses its session, and the pool's other agents wait no longer."""

POOL_LOCK_SECONDS = 1.0
"""How long a claim waits for its pool, and then for any row. Ours hold both for hundredths of a
second; whoever holds them for longer must not stop everybody who waits behind this claim."""

# The claim itself need not survive a crash of Postgres: a lost claim means that the tasks are
# still queued and that the worker's settlement is fenced. Settlements wait for the disk.
LOCK_POOL = """
select set_config('lock_timeout', %(lock_milliseconds)s, true),
    pg_advisory_xact_lock(20261, %(pool)s),
    set_config('synchronous_commit', 'off', true),
    set_config('idle_in_transaction_session_timeout', %(idle_milliseconds)s, true)
"""

# One index probe per (capability, priority, tenant) with ready work, whatever the backlog: each
# step jumps behind the group it found. A recursion per capability keeps the probe's prefix equal.
GROUPS = """
with recursive head as (
    select c.id as capability, h.priority, h.tenant_id, h.task_id
    from capability c cross join lateral (
        select r.priority, r.tenant_id, r.task_id from ready r
        where r.pool_id = %(pool)s and r.capability_id = c.id
        order by r.priority, r.tenant_id, r.task_id limit 1) h
    where c.kind = any(%(kinds)s::text[]) and (c.model = '' or c.model = any(%(models)s::text[]))
    union all
    select head.capability, n.priority, n.tenant_id, n.task_id
    from head cross join lateral (
        select r.priority, r.tenant_id, r.task_id from ready r
        where r.pool_id = %(pool)s and r.capability_id = head.capability
            and (r.priority, r.tenant_id) > (head.priority, head.tenant_id)
        order by r.priority, r.tenant_id, r.task_id limit 1) n
)
select head.capability, head.priority, head.tenant_id,
    coalesce(extract(epoch from clock_timestamp()
        - (select t.queued_at from task t where t.id = head.task_id)), 0)::float,
    coalesce((select s.served from served_time s where s.pool_id = %(pool)s
        and s.priority = head.priority and s.tenant_id = head.tenant_id), 0),
    coalesce((select s.served from served_time s where s.pool_id = %(pool)s
        and s.priority = head.priority and s.tenant_id = 0), 0),
    tenant.weight, tenant.max_running_tasks,
    case when tenant.max_running_tasks is not null then (
        select coalesce(sum(cardinality(l.task_ids)), 0) from lease l
        where l.pool_id = %(pool)s and l.tenant_id = head.tenant_id) end
from head join tenant on tenant.id = head.tenant_id
"""

# The order forces the index: a scan that stops at the first row would wade through dead ones.
ANY_READY = """
select exists (
    select 1 from capability c cross join lateral (
        select 1 from ready r where r.pool_id = %(pool)s and r.capability_id = c.id
        order by r.priority, r.tenant_id, r.task_id limit 1) x
    where c.kind = any(%(kinds)s::text[]) and (c.model = '' or c.model = any(%(models)s::text[])))
"""

# Of the tasks at the heads of these groups, the jobs whose rows a claim would have to wait for.
# What it can lock it gives back at the end of the transaction.
HELD_UP = f"""
with head as (
    select g.*, r.task_id from unnest(%(capability)s::int[], %(priority)s::int[],
        %(tenant)s::int[]) as g(capability, priority, tenant) cross join lateral (
        select r.task_id from ready r
        where r.pool_id = %(pool)s and r.capability_id = g.capability
            and r.priority = g.priority and r.tenant_id = g.tenant
        order by r.task_id limit {MAX_CLAIM}) r
), t as materialized (
    select t.id from task t where t.id = any(array(select task_id from head))
    for no key update skip locked
), j as materialized (
    select j.id from job j where j.id = any(array(select task_id >> 20 from head))
    for no key update skip locked
), b as materialized (
    select b.job_id from budget b where b.job_id = any(array(select task_id >> 20 from head))
    for no key update skip locked
)
select distinct h.task_id >> 20 from head h
where h.task_id not in (select id from t) or h.task_id >> 20 not in (select id from j)
    or exists (select 1 from budget where job_id = h.task_id >> 20
        and job_id not in (select job_id from b))
"""  # nosec B608

# Of a job row: whether it may not take all it could.
_LIMITED = """(j.max_parallelism is not null or j.suspended_at is not null
        or j.cancel_requested_at is not null or j.failed_reason is not null)"""
# Of a budget row: whether one claim could use it up.
_NEARLY_SPENT = f"""b.task_ceiling_nano_usd > 0
    and b.limit_nano_usd - b.reserved_nano_usd - b.settled_nano_usd
        < {MAX_CLAIM} * b.task_ceiling_nano_usd"""

# Jobs that may not take all they could; everything else needs no look at its job row. Each arm
# reads a partial index, the budgets of open jobs that are nearly used up, or jobs by number.
CONSTRAINTS = f"""
select j.id, j.tenant_id, j.priority,
    case when j.suspended_at is not null or j.cancel_requested_at is not null
        or j.failed_reason is not null then 0
    else greatest(0, j.max_parallelism - (
        select coalesce(sum(cardinality(l.task_ids)), 0) from lease l where l.job_id = j.id)) end
from job j
where j.pool_id = %(pool)s and j.finished_at is null
    and {_LIMITED}
union all
select j.id, j.tenant_id, j.priority,
    (b.limit_nano_usd - b.reserved_nano_usd - b.settled_nano_usd) / b.task_ceiling_nano_usd
from budget b join job j on j.id = b.job_id
where j.pool_id = %(pool)s and j.finished_at is null and {_NEARLY_SPENT}
union all
select j.id, j.tenant_id, j.priority, 0
from job j where j.pool_id = %(pool)s and j.id = any(%(closed)s::bigint[])
"""  # nosec B608

# The candidates are found by index ranges and taken by row address, so that no estimate of the
# planner can turn this into a scan of the tasks.
#
# A task that has to run alone (`jobs/policies/isolation.py`) is claimed alone, by a worker that
# holds no other such: those that wait for their turn would lose an attempt without ever having run,
# were the worker killed.
#
# A job that was submitted, opened again or suspended since its limits were asked for stands in a
# range that names no limit for it: it waits for the next claim.
CLAIM = f"""
with pick as materialized (
    select * from unnest(%(capability)s::int[], %(priority)s::int[], %(tenant)s::int[],
        %(low)s::bigint[], %(high)s::bigint[], %(limit)s::int[], %(tenant_room)s::int[],
        %(job_room)s::int[])
        with ordinality as p(capability, priority, tenant, low, high, most, tenant_room, job_room,
            turn)
), candidate as (
    select distinct on (x.address) x.address, x.task_id, pick.*
    from pick cross join lateral (
        select r.ctid as address, r.task_id from ready r
        where r.pool_id = %(pool)s and r.capability_id = pick.capability
            and r.priority = pick.priority and r.tenant_id = pick.tenant
            and r.task_id >= pick.low and r.task_id < pick.high
        order by r.task_id limit pick.most for update skip locked) x
    order by x.address, pick.turn
), unasked as materialized (
    select n.job_id from (select distinct c.task_id >> 20 as job_id from candidate c
        where c.job_room = %(unlimited)s) n
    where (select true from job j where j.id = n.job_id and {_LIMITED})
        or (select true from budget b where b.job_id = n.job_id and {_NEARLY_SPENT})
), ranked as (
    select c.*, row_number() over (partition by c.tenant order by c.turn, c.task_id) as of_tenant,
        row_number() over (partition by c.task_id >> 20 order by c.turn, c.task_id) as of_job
    from candidate c
), chosen as materialized (
    select r.address, row_number() over (order by r.turn, r.task_id) as place,
        (select t.workers_lost >= %(alone_from)s or t.attempt + 1 >= t.max_attempts
                and (t.workers_lost > 0 or t.max_attempts = 1)
            from task t where t.id = r.task_id) as alone
    from ranked r where r.of_tenant <= r.tenant_room and r.of_job <= r.job_room
        and (r.job_room < %(unlimited)s
            or r.task_id >> 20 <> all(array(select job_id from unasked)))
    order by r.turn, r.task_id limit %(want)s
), held as materialized (
    select exists (
        select 1 from lease l cross join lateral unnest(l.task_ids) x
            cross join lateral (select 1 from task t where t.id = x
                and (t.workers_lost >= %(alone_from)s or t.attempt >= t.max_attempts
                    and (t.workers_lost > 0 or t.max_attempts = 1)) offset 0) t
        where l.owner = %(owner)s) as alone
), q as (
    delete from ready where ctid = any(array(
        select address from chosen where case
            when place = 1 then not alone or not (select held.alone from held)
            else place < coalesce((select min(c.place) from chosen c where c.alone), place + 1)
        end))
    returning task_id
), u as (
    update task set status = 'Running', attempt = attempt + 1, epoch = epoch + 1,
        owner = %(owner)s, started_at = clock_timestamp(), error_code = null, error_message = null
    where id = any(array(select task_id from q)) and status = 'Queued'
        and attempt < max_attempts
    returning id, job_id, tenant_id, epoch, attempt, generation, kind, max_attempts,
        ceiling_nano_usd, expected_tokens, priority, workers_lost, waiting, fanout
), g as (
    select u.job_id, u.tenant_id, u.priority, array_agg(u.id order by u.id) as ids,
        sum(greatest(u.ceiling_nano_usd, 0)) as ceiling,
        sum(greatest(u.expected_tokens, 1)) as expected
    from u group by u.job_id, u.tenant_id, u.priority
), l as (
    insert into lease (owner, job_id, tenant_id, pool_id, granted_at, expires_at, close_at,
        task_ids)
    select %(owner)s, g.job_id, g.tenant_id, %(pool)s, clock_timestamp(),
        clock_timestamp() + make_interval(secs =>
            least(%(lease_seconds)s, j.start_to_close_seconds + %(grace_seconds)s)),
        clock_timestamp() + make_interval(secs => j.start_to_close_seconds + %(grace_seconds)s),
        g.ids
    from g join job j on j.id = g.job_id
), v as (
    insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
    select g.job_id, 'claimed', clock_timestamp(), %(actor)s, g.ids, '{{}}' from g order by g.job_id
), b as (
    update budget set reserved_nano_usd = reserved_nano_usd + g.ceiling
    from g where budget.job_id = g.job_id and g.ceiling > 0
), s as (
    insert into served_time (pool_id, priority, tenant_id, served)
    select %(pool)s, w.priority, w.tenant, greatest(w.served + coalesce(a.expected, 0), 0)
    from unnest(%(served_priority)s::int[], %(served_tenant)s::int[], %(served)s::float[],
        %(weight)s::float[]) as w(priority, tenant, served, weight)
    left join lateral (select sum(g.expected) / w.weight as expected from g
        where g.tenant_id = w.tenant and g.priority = w.priority) a on true
    where w.tenant = 0 or a.expected is not null
    on conflict (pool_id, priority, tenant_id) do update set served = excluded.served
), jr as (
    update job set status = 'Running', reason = 'Running', started_at = coalesce(started_at, now())
    where id = any(array(select job_id from g)) and status = 'Pending'
)
select u.id, u.epoch, u.attempt, u.generation, u.kind, i.name, i.input, i.parameters, i.model,
    u.ceiling_nano_usd, u.workers_lost, u.max_attempts, j.start_to_close_seconds,
    exists (select 1 from edge where edge.child_id = u.id), u.priority
from u
left join lateral (select * from task_input i where i.task_id = u.id) i on true
left join lateral (select j.start_to_close_seconds from job j where j.id = u.job_id) j on true
order by u.priority desc, u.id
"""  # nosec B608


class Reach(NamedTuple):
    """What an agent can take: its pool, its executors' kinds and the models it reaches."""

    pool: int
    kinds: Sequence[str]
    models: Sequence[str]


class GroupRow(NamedTuple):
    """Ready work of one tenant in one class, as ``GROUPS`` returns it."""

    capability: int
    priority: int
    tenant: int
    oldest_seconds: float
    served: float
    virtual_time: float
    weight: int
    max_running: int | None
    running: int | None


class ClaimedRow(NamedTuple):
    """A task that is running now, with all its worker needs."""

    id: int
    epoch: int
    attempt: int
    generation: int
    kind: str
    name: str
    input: str
    parameters: str
    model: str
    ceiling_nano_usd: int
    workers_lost: int
    max_attempts: int
    start_to_close_seconds: float
    has_parents: bool
    priority: int

    @property
    def run_alone(self) -> bool:
        """Whether it is to have no neighbours."""
        return runs_alone(
            suspicion=self.workers_lost, attempt=self.attempt, max_attempts=self.max_attempts
        )


class ServedRow(NamedTuple):
    """A tenant's start tag in a priority class; tenant 0 is the class's virtual time."""

    priority: int
    tenant: int
    served: float
    weight: float


def lock_pool(pool: int) -> None:
    """Serialise claims of one pool until the transaction ends, so that every limit is exact."""
    parameters = {
        "pool": pool,
        "lock_milliseconds": str(int(POOL_LOCK_SECONDS * 1000)),
        "idle_milliseconds": str(int(POOL_IDLE_SECONDS * 1000)),
    }
    fetch(LOCK_POOL, parameters)


def ready_groups(reach: Reach) -> list[GroupRow]:
    """Who has ready work within reach, and how long the oldest waits."""
    rows = fetch(GROUPS, reach._asdict())
    return [GroupRow(*row) for row in rows]


def pool_room(pool: int, most: int) -> int:
    """How many more tasks the pool may run; the caller holds its lock."""
    statement = "select coalesce(sum(cardinality(task_ids)), 0) from lease where pool_id = %s"
    return max(0, most - int(fetch(statement, (pool,))[0][0]))


def any_ready(reach: Reach) -> bool:
    """Whether anything within reach waits to be claimed."""
    return bool(fetch(ANY_READY, reach._asdict())[0][0])


def held_up_jobs(pool: int, groups: Sequence[GroupRow]) -> list[int]:
    """The jobs of which somebody holds rows that the next claim needs."""
    parameters = {
        "pool": pool,
        "capability": integers(group.capability for group in groups),
        "priority": integers(group.priority for group in groups),
        "tenant": integers(group.tenant for group in groups),
    }
    return [job for (job,) in fetch(HELD_UP, parameters)]


def candidates(
    reach: Reach, *, closed: Sequence[int] = ()
) -> tuple[list[GroupRow], list[tuple[int, int, int, int]]]:
    """`ready_groups`, and ``(job, tenant, priority, room)`` for each open job that has a limit.

    Those ``closed`` may start nothing. One round trip.
    """
    parameters = {**reach._asdict(), "closed": integers(closed)}
    groups, constraints = fetch_each((GROUPS, CONSTRAINTS), parameters)
    return [GroupRow(*row) for row in groups], constraints


def claim(
    *,
    pool: int,
    owner: int,
    actor: str,
    picks: Sequence[Any],
    served: Sequence[ServedRow],
    want: int,
    lease_seconds: float,
) -> list[ClaimedRow]:
    """Take up to ``want`` ready tasks for ``owner``; the caller holds the pool's lock."""
    rows = fetch(
        CLAIM,
        {
            "pool": pool,
            "owner": owner,
            "actor": actor,
            "want": want,
            "lease_seconds": lease_seconds,
            "grace_seconds": CLOSE_GRACE_SECONDS,
            "alone_from": ALONE_FROM,
            "unlimited": UNLIMITED,
            "capability": integers(pick.capability for pick in picks),
            "priority": integers(pick.priority for pick in picks),
            "tenant": integers(pick.tenant for pick in picks),
            "low": integers(pick.low for pick in picks),
            "high": integers(pick.high for pick in picks),
            "limit": integers(pick.limit for pick in picks),
            "tenant_room": integers(pick.tenant_room for pick in picks),
            "job_room": integers(pick.job_room for pick in picks),
            "served_priority": integers(row.priority for row in served),
            "served_tenant": integers(row.tenant for row in served),
            "served": [row.served for row in served],
            "weight": [row.weight for row in served],
        },
    )
    return list(map(ClaimedRow._make, rows))
