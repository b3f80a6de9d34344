"""The fabric at a glance: jobs by status, queues by pool and priority, dead letters, money.

Every figure comes from counters, leases or a key of an index, so that its cost follows the number
of open jobs and of today's model calls, never the number of tasks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from jobs.queries.formats import select
from jobs.states import PRIORITIES, JobStatus

COUNTED_TO: Final = 10_000
"""Counts of what has no counter stop here (console design, section 4)."""

ENDED_WITHIN: Final = timedelta(hours=24)

JOBS = """
select status, count(*)::int as jobs from job where finished_at is null group by status
union all
select status, count(*)::int from job where finished_at > %(since)s group by status
"""

# What may be claimed or backs off is what the stages count as open, less what is blocked and what
# leases hold. The oldest is looked up at the head of each tenant's queue, one probe per capability.
QUEUES = """
with open_jobs as materialized (
    select id, pool_id, priority, tenant_id, suspended_at from job where finished_at is null
), able as (
    select j.pool_id, j.priority, sum(s.open - s.blocked)::bigint as tasks
    from open_jobs j join job_stage s on s.job_id = j.id
    where j.suspended_at is null group by j.pool_id, j.priority
), held as (
    select j.pool_id, j.priority, sum(cardinality(l.task_ids))::bigint as running,
        coalesce(sum(cardinality(l.task_ids)) filter (where j.suspended_at is null), 0)::bigint
            as of_able
    from lease l join open_jobs j on j.id = l.job_id group by j.pool_id, j.priority
), heads as (
    select o.pool_id, o.priority, min(t.queued_at) as oldest
    from (select distinct pool_id, priority, tenant_id from open_jobs) o cross join capability c
    cross join lateral (
        select r.task_id from ready r
        where r.pool_id = o.pool_id and r.capability_id = c.id and r.priority = o.priority
            and r.tenant_id = o.tenant_id
        order by r.task_id limit 1) first
    join task t on t.id = first.task_id
    group by o.pool_id, o.priority
)
select p.name as pool, class.priority, class.name as class,
    greatest(coalesce(a.tasks, 0) - coalesce(h.of_able, 0), 0)::bigint as queued,
    coalesce(h.running, 0)::bigint as running,
    extract(epoch from clock_timestamp() - heads.oldest)::float as oldest_seconds,
    case class.name when 'interactive' then p.interactive_bound_seconds
        when 'standard' then p.standard_bound_seconds else p.batch_bound_seconds end
        as bound_seconds
from pool p
cross join unnest(%(priorities)s::int[], %(names)s::text[]) as class(priority, name)
left join able a on a.pool_id = p.id and a.priority = class.priority
left join held h on h.pool_id = p.id and h.priority = class.priority
left join heads on heads.pool_id = p.id and heads.priority = class.priority
order by p.name, class.priority desc
"""

DEAD_LETTERS = """
select (select count(*)::int from (select 1 from dead_letter limit %(most)s) x) as dead_letters,
    coalesce((select json_agg(json_build_object('code', code, 'tasks', tasks) order by tasks desc)
        from (select error_code as code, count(*)::int as tasks from (
            select error_code from dead_letter where buried_at > %(since)s
            order by buried_at desc limit %(most)s) newest
        group by error_code) g), '[]'::json)::text as causes
"""

# Only jobs that are open or ended today can have used anything today; the ledger's key finds
# their calls.
SPENT = """
with today as materialized (
    select id, tenant_id from job where finished_at is null
    union all select id, tenant_id from job where finished_at >= %(midnight)s
)
select n.name as tenant, sum(u.input_tokens)::bigint as input_tokens,
    sum(u.output_tokens)::bigint as output_tokens, sum(u.cost_nano_usd)::bigint as cost_nano_usd
from today j
join usage_entry u on u.task_id >= j.id << 20 and u.task_id < (j.id + 1) << 20
    and u.recorded_at >= %(midnight)s
join tenant n on n.id = j.tenant_id
group by n.name order by sum(u.cost_nano_usd) desc, n.name
"""


def jobs_by_status(*, now: datetime) -> dict[str, int]:
    """Return how many jobs are open, and how many ended in 24 hours, by status; 0 included."""
    rows = select(JOBS, {"since": now - ENDED_WITHIN})
    found = {row["status"]: row["jobs"] for row in rows}
    return {status.value: found.get(status.value, 0) for status in JobStatus}


def queues() -> list[dict[str, Any]]:
    """Return one row per pool and priority class, empty ones included.

    ``queued`` counts what could be claimed or backs off, ``oldest_seconds`` is None where nothing
    may be claimed, ``bound_seconds`` is how long the class may wait.
    """
    classes = {"priorities": list(PRIORITIES.values()), "names": list(PRIORITIES)}
    return select(QUEUES, classes)


def dead_letters(*, now: datetime) -> dict[str, Any]:
    """Return ``dead_letters`` (counted to 10,001) and the last hour's ``causes`` as JSON text."""
    return select(DEAD_LETTERS, {"most": COUNTED_TO + 1, "since": now - timedelta(hours=1)})[0]


def spent_today(*, now: datetime) -> list[dict[str, Any]]:
    """Return tokens and nano-USD since midnight UTC by tenant, the dearest first."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return select(SPENT, {"midnight": midnight})
