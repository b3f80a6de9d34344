"""Tasks of a job that is closing, suspended or resumed, in chunks that never wait for a task."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.transitions.sql import execute, fetch, integers

CHUNK = 1_000

# Open tasks of one job; what another transaction holds is left for the next pass.
LOCK_OPEN = """
select id, epoch, owner, status, stage from task
where id >= %(job)s::bigint << 20 and id < (%(job)s::bigint + 1) << 20
    and status in ('Blocked', 'Queued', 'Running')
order by id limit %(chunk)s for update skip locked
"""

CANCEL_WAITING = """
with t as (
    update task set status = 'Cancelled', finished_at = clock_timestamp(),
        error_code = %(code)s, error_message = %(message)s
    where id = any(%(ids)s::bigint[]) and status in ('Blocked', 'Queued')
    returning id, pool_id, capability_id, priority, tenant_id
), r as (
    delete from ready r using t where r.pool_id = t.pool_id and r.capability_id = t.capability_id
        and r.priority = t.priority and r.tenant_id = t.tenant_id and r.task_id = t.id
), d as (
    delete from delayed d using t where d.task_id = t.id
)
select id from t
"""

# A suspended job's queue entries are parked in `delayed` with no date, so that claims do not
# stumble over them; resuming makes them due. The job's row is locked against a resume at the same
# time, which would not see what is parked here: nothing would ever make it due.
PARK = """
with j as materialized (
    select id, pool_id, priority, tenant_id from job
    where id = %(job)s and suspended_at is not null for share
), x as materialized (
    select r.ctid as address from j cross join capability c cross join lateral (
        select r.ctid from ready r
        where r.pool_id = j.pool_id and r.capability_id = c.id and r.priority = j.priority
            and r.tenant_id = j.tenant_id
            and r.task_id >= j.id << 20 and r.task_id < (j.id + 1) << 20
        limit %(chunk)s for update skip locked) r
), gone as (
    delete from ready where ctid = any(array(select address from x)) returning task_id
)
insert into delayed (task_id, due_at) select task_id, 'infinity' from gone
on conflict (task_id) do nothing
"""

UNPARK = """
update delayed set due_at = now()
where task_id >= %(job)s::bigint << 20 and task_id < (%(job)s::bigint + 1) << 20
    and due_at = 'infinity'
"""


class OpenTask(NamedTuple):
    """An open task that this transaction has locked."""

    id: int
    epoch: int
    owner: int | None
    status: str
    stage: int


def lock_open_tasks(job: int, *, chunk: int = CHUNK) -> list[OpenTask]:
    """Up to ``chunk`` open tasks of the job that nobody else holds."""
    return [OpenTask(*row) for row in fetch(LOCK_OPEN, {"job": job, "chunk": chunk})]


def cancel_waiting(tasks: Sequence[int], *, code: str, message: str) -> list[int]:
    """Cancel blocked and queued tasks and take them from the queue; returns those it did."""
    rows = fetch(CANCEL_WAITING, {"ids": integers(tasks), "code": code, "message": message})
    return [task for (task,) in rows]


def park(job: int, *, chunk: int = CHUNK) -> int:
    """Take ready entries of a suspended job from the queue; returns how many."""
    return execute(PARK, {"job": job, "chunk": chunk})


def unpark(job: int) -> int:
    """Make a resumed job's parked entries due; the ticketer puts them back."""
    return execute(UNPARK, {"job": job})
