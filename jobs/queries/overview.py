"""The fabric at a glance: jobs by status, dead letters, money; queues are in ``load``.

Every figure comes from counters, leases or a key of an index, so that its cost follows the number
of open jobs and of today's model calls, never the number of tasks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from jobs.queries.formats import select
from jobs.states import JobStatus

COUNTED_TO: Final = 10_000
"""Counts of what has no counter stop here (console design, section 4)."""

ENDED_WITHIN: Final = timedelta(hours=24)

# The newest of either kind stand for all where there are more than are counted.
JOBS = """
select status, count(*)::int as jobs from (select status from job where finished_at is null
    order by created_at desc limit %(most)s) open group by status
union all
select status, count(*)::int from (select status from job where finished_at > %(since)s
    order by finished_at desc limit %(most)s) ended group by status
"""

DEAD_LETTERS = """
select (select count(*)::int from (select 1 from dead_letter limit %(most)s) x) as dead_letters,
    coalesce((select json_agg(json_build_object('code', code, 'tasks', tasks) order by tasks desc)
        from (select error_code as code, count(*)::int as tasks from (
            select error_code from dead_letter where buried_at > %(since)s
            order by buried_at desc limit %(most)s) newest
        group by error_code) g), '[]'::json)::text as causes
"""

# Only jobs that have started, and are open or ended today, can have used anything today; the
# ledger's key finds their calls.
SPENT = """
with today as materialized (
    select id, tenant_id from job where finished_at is null and started_at is not null
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


# Whatever happens to a job leaves an event; jobs that nothing has happened to yet stand behind.
CHANGED = """
select job_id from (
    select job_id, max(id) as latest from (
        select job_id, id from job_event order by id desc limit %(events)s) newest
    group by job_id) changed
order by latest desc limit %(jobs)s
"""

LATEST_EVENTS: Final = 1_000


def changed_last(*, jobs: int) -> list[int]:
    """Return the numbers of the jobs that something happened to last, the latest first."""
    parameters = {"events": LATEST_EVENTS, "jobs": jobs}
    return [row["job_id"] for row in select(CHANGED, parameters)]


def jobs_by_status(*, now: datetime) -> dict[str, int]:
    """Return how many jobs are open, and how many ended in 24 hours, by status; 0 included.

    Either kind is counted to 10,001 in all.
    """
    rows = select(JOBS, {"since": now - ENDED_WITHIN, "most": COUNTED_TO + 1})
    found = {row["status"]: row["jobs"] for row in rows}
    return {status.value: found.get(status.value, 0) for status in JobStatus}


def dead_letters(*, now: datetime) -> dict[str, Any]:
    """Return ``dead_letters`` (counted to 10,001) and the last hour's ``causes`` as JSON text."""
    return select(DEAD_LETTERS, {"most": COUNTED_TO + 1, "since": now - timedelta(hours=1)})[0]


def spent_today(*, now: datetime) -> list[dict[str, Any]]:
    """Return tokens and nano-USD since midnight UTC by tenant, the dearest first."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return select(SPENT, {"midnight": midnight})
