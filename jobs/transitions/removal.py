"""Deleting what retention no longer keeps."""

from collections.abc import Sequence
from itertools import accumulate

from jobs.transitions.sql import execute, fetch, integers

BY_TASK = ("task_input", "edge", "attempt", "task_log", "dead_letter", "delayed")
"""Tables whose rows belong to one task."""

ENDED = """
select id, total_tasks from job
where finished_at < now() - make_interval(days => %(days)s)
    and (%(tenant)s::int is null or tenant_id = %(tenant)s)
order by finished_at limit %(limit)s for update skip locked
"""

# A blob may be named by a result, or within one: what is younger than the oldest job stays.
UNUSED_ARTIFACTS = """
with x as (
    select a.tenant_id, a.sha256 from artifact a
    where a.created_at < now() - make_interval(days => %(days)s)
        and a.created_at < coalesce((select min(j.created_at) from job j
            where j.tenant_id = a.tenant_id), 'infinity')
        and not exists (select 1 from file f
            where f.tenant_id = a.tenant_id and f.sha256 = a.sha256)
    order by a.created_at limit 200
), c as (
    delete from artifact_chunk using x
    where artifact_chunk.tenant_id = x.tenant_id and artifact_chunk.sha256 = x.sha256
)
delete from artifact using x
where artifact.tenant_id = x.tenant_id and artifact.sha256 = x.sha256
"""

# The counts of what is deleted leave the pools' sums.
UNCOUNT = """
insert into tally (name, labels, amounts, happened_at)
select 'tasks', array[j.pool_id::text, j.priority::text], array[-sum(s.open), -sum(s.blocked),
    -sum(s.succeeded), -sum(s.dead_lettered), -sum(s.cancelled)]::bigint[], clock_timestamp()
from job j join job_stage s on s.job_id = j.id
where j.id = any(%s::bigint[]) group by j.pool_id, j.priority
"""


def ended_before(*, days: int, limit: int, most_tasks: int, tenant: int | None = None) -> list[int]:
    """Some jobs that ended that long ago, locked: one, or as many as have ``most_tasks`` together.

    The oldest first, of one tenant or of all.
    """
    rows = fetch(ENDED, {"days": days, "limit": limit, "tenant": tenant})
    together = accumulate(tasks for _, tasks in rows)
    return [
        job
        for number, ((job, _), tasks) in enumerate(zip(rows, together, strict=True))
        if number == 0 or tasks <= most_tasks
    ]


def tasks_of(jobs: Sequence[int]) -> int:
    """How many tasks these jobs have."""
    bounds = [(job << 20, (job + 1) << 20) for job in jobs]
    counting = "select count(*) from task where id >= %s and id < %s"
    return sum(int(fetch(counting, each)[0][0]) for each in bounds)


def delete_jobs(jobs: Sequence[int]) -> int:
    """Delete these ended jobs with their tasks, edges, attempts and events."""
    for job in jobs:
        bounds = (job << 20, (job + 1) << 20)
        for table in BY_TASK:
            column = "parent_id" if table == "edge" else "task_id"
            execute(f"delete from {table} where {column} >= %s and {column} < %s", bounds)  # nosec B608
        execute("delete from task where id >= %s and id < %s", bounds)
    numbers = (integers(jobs),)
    execute(UNCOUNT, numbers)
    for table in ("job_stage", "job_event", "idempotency_record"):
        execute(f"delete from {table} where job_id = any(%s::bigint[])", numbers)  # nosec B608
    return execute("delete from job where id = any(%s::bigint[])", numbers) if jobs else 0


def delete_unused_artifacts(*, days: int) -> int:
    """Delete blobs that are older than every job of their tenant and named by no file."""
    return execute(UNUSED_ARTIFACTS, {"days": days})


def delete_keys(*, hours: int, limit: int) -> int:
    """Delete what is kept of Idempotency-Keys that are older than that, so many of each kind."""
    old = "select ctid from {table} where created_at < now() - make_interval(hours => %s) limit %s"
    return sum(
        execute(f"delete from {table} where ctid in ({old.format(table=table)})", (hours, limit))  # nosec B608
        for table in ("idempotency_record", "recorded_answer")
    )
