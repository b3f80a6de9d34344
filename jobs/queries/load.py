"""What waits and runs in each pool and class: sums, leases and index probes, never a scan of tasks.

The cost follows pools, waiting tenants, leases and suspended jobs; not tasks, not jobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from jobs.metrics import (
    COUNTED_STATUSES,
    POOL_TASKS,
    Series,
    Tally,
    add_up,
    series,
)
from jobs.planner.draft import KINDS, TEST_KINDS
from jobs.queries.formats import select
from jobs.states import PRIORITIES, TaskStatus

JOBS_LOOKED_AT: Final = 3
"""Waiting jobs of each tenant, oldest first, whose first and last waiting task are looked at."""

# One snapshot of sums and of what was not added yet: exact however late the adding is.
CURRENT = """
select 'sum' as source, name, labels, array[value]::float[] as amounts, null::timestamptz as at
from figure where %(everything)s or name = 'pool_tasks'
union all
select 'tally', name, array_to_json(labels)::text, amounts::float[], happened_at
from tally where %(everything)s or name = 'tasks'
union all
select 'running', '', json_build_array(l.pool_id, j.priority)::text,
    array[sum(cardinality(l.task_ids)), coalesce(sum(cardinality(l.task_ids))
        filter (where j.suspended_at is not null), 0)]::float[], null
from lease l join job j on j.id = l.job_id group by l.pool_id, j.priority
union all
select 'suspended', '', json_build_array(j.pool_id, j.priority)::text,
    array[sum(s.open - s.blocked)]::float[], null
from job j join job_stage s on s.job_id = j.id
where j.finished_at is null and j.suspended_at is not null group by j.pool_id, j.priority
"""

# Who waits longest? Tenants' queues are found by index jumps, in each the first jobs, in each of
# those the first and the last task: a retried task stands at the front and waits for a moment,
# while the job's last ones may never have run.
OLDEST = """
with recursive head as (
    select p.id as pool_id, c.id as capability_id, h.priority, h.tenant_id, h.task_id
    from pool p cross join capability c cross join lateral (
        select r.priority, r.tenant_id, r.task_id from ready r
        where r.pool_id = p.id and r.capability_id = c.id
        order by r.priority, r.tenant_id, r.task_id limit 1) h
    union all
    select head.pool_id, head.capability_id, n.priority, n.tenant_id, n.task_id
    from head cross join lateral (
        select r.priority, r.tenant_id, r.task_id from ready r
        where r.pool_id = head.pool_id and r.capability_id = head.capability_id
            and (r.priority, r.tenant_id) > (head.priority, head.tenant_id)
        order by r.priority, r.tenant_id, r.task_id limit 1) n
)
select head.pool_id, head.priority, greatest(extract(epoch from clock_timestamp() - min(
    (select t.queued_at from task t where t.id = edge.task_id))), 0)::float as seconds
from head cross join lateral (
    with recursive waiting as (
        select head.task_id >> 20 as job_id, 1 as n
        union all
        select r.task_id >> 20, waiting.n + 1
        from waiting cross join lateral (
            select r.task_id from ready r
            where r.pool_id = head.pool_id and r.capability_id = head.capability_id
                and r.priority = head.priority and r.tenant_id = head.tenant_id
                and r.task_id >= (waiting.job_id + 1) << 20
            order by r.task_id limit 1) r
        where waiting.n < %(jobs)s
    )
    select job_id from waiting) job
cross join lateral (
    (select r.task_id from ready r
    where r.pool_id = head.pool_id and r.capability_id = head.capability_id
        and r.priority = head.priority and r.tenant_id = head.tenant_id
        and r.task_id >= job.job_id << 20 and r.task_id < (job.job_id + 1) << 20
    order by r.task_id limit 1)
    union all
    (select r.task_id from ready r
    where r.pool_id = head.pool_id and r.capability_id = head.capability_id
        and r.priority = head.priority and r.tenant_id = head.tenant_id
        and r.task_id >= job.job_id << 20 and r.task_id < (job.job_id + 1) << 20
    order by r.task_id desc limit 1)) edge
group by head.pool_id, head.priority
"""

POOLS = """
select id, name, interactive_bound_seconds as interactive, standard_bound_seconds as standard,
    batch_bound_seconds as batch
from pool order by name
"""

Place = tuple[int, int]
"""A pool's number and a priority."""


@dataclass
class Current:
    """All sums at one moment, and what runs and is held back, by pool and priority."""

    sums: dict[Series, float] = field(default_factory=dict)
    running: dict[Place, int] = field(default_factory=dict)
    running_suspended: dict[Place, int] = field(default_factory=dict)
    suspended: dict[Place, int] = field(default_factory=dict)

    def counted(self, place: Place, status: str) -> int:
        """How many tasks of a counted status a pool's class has."""
        pool, priority = map(str, place)
        labels = {"pool": pool, "priority": priority, "status": status}
        return int(self.sums.get(series(POOL_TASKS, labels), 0))

    def queued(self, place: Place) -> int:
        """Tasks that are neither blocked nor running nor done."""
        waiting = self.counted(place, "open") - self.counted(place, TaskStatus.BLOCKED)
        return max(0, waiting - self.running.get(place, 0))

    def depth(self, place: Place) -> int:
        """Queued tasks of jobs that are not suspended."""
        held = self.suspended.get(place, 0) - self.running_suspended.get(place, 0)
        return max(0, self.queued(place) - held)

    def tasks(self, pool: int) -> dict[str, int]:
        """The tasks of a pool by status."""
        places = [(pool, priority) for priority in PRIORITIES.values()]
        counts = {
            status: sum(self.counted(place, status) for place in places)
            for status in COUNTED_STATUSES[1:]
        }
        counts[TaskStatus.QUEUED] = sum(map(self.queued, places))
        counts[TaskStatus.RUNNING] = sum(self.running.get(place, 0) for place in places)
        return {status.value: counts[status] for status in TaskStatus}


def current(*, everything: bool) -> Current:
    """Read the sums in one statement; without ``everything`` only those of the pools' tasks."""
    found = Current()
    tallies: list[Tally] = []
    with connection.cursor() as cursor:
        cursor.execute(CURRENT, {"everything": everything})
        for source, name, labels, amounts, moment in cursor.fetchall():
            if source == "sum":
                found.sums[name, labels] = amounts[0]
            elif source == "tally":
                tallies.append(Tally(name, json.loads(labels), list(map(int, amounts)), moment))
            else:
                _place(found, source, labels, amounts)
    _add(found.sums, add_up(tallies, KINDS | TEST_KINDS).series)
    return found


def _place(found: Current, source: str, labels: str, amounts: list[float]) -> None:
    pool, priority = json.loads(labels)
    if source == "suspended":
        found.suspended[pool, priority] = int(amounts[0])
        return
    found.running[pool, priority] = int(amounts[0])
    found.running_suspended[pool, priority] = int(amounts[1])


def _add(sums: dict[Series, float], more: Mapping[Series, float]) -> None:
    for key, amount in more.items():
        sums[key] = sums.get(key, 0.0) + amount


def oldest_seconds() -> dict[Place, float]:
    """How long the longest waiting task of each pool and class has been queued, where one waits."""
    rows = select(OLDEST, {"jobs": JOBS_LOOKED_AT})
    return {(row["pool_id"], row["priority"]): row["seconds"] for row in rows}


def pools() -> list[dict[str, Any]]:
    """The pools by name, with their classes' bounds in seconds."""
    return select(POOLS, {})


def queue_rows(
    now: Current, oldest: Mapping[Place, float], found: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row per pool and class, also where nothing waits; ``oldest_seconds`` is None there."""
    return [
        {
            "pool_id": pool["id"],
            "pool": pool["name"],
            "priority": priority,
            "class": name,
            "queued": now.depth((pool["id"], priority)),
            "running": now.running.get((pool["id"], priority), 0),
            "oldest_seconds": oldest.get((pool["id"], priority)),
            "bound_seconds": pool[name],
        }
        for pool in found
        for name, priority in PRIORITIES.items()
    ]


def queues() -> list[dict[str, Any]]:
    """Every pool and class as it is now; see ``queue_rows``."""
    return queue_rows(current(everything=False), oldest_seconds(), pools())
