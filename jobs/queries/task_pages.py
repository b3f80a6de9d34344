"""Tasks of every job for people: newest first, narrowed, each page with a bounded amount of work.

The table of tasks has no index but its key, so that updates stay cheap. A page therefore looks at
a window of the newest tasks by that key and takes what matches; the next page goes on below. What
runs and what is dead is found by its own table instead, however far down it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jobs.queries.formats import select
from jobs.queries.lookup import job_numbers
from jobs.queries.tasks import COLUMNS, SOURCES, task_row
from jobs.states import TASK_BITS, TaskStatus, job_name, split_task_id

WINDOW: Final = 20_000
"""Tasks that one page looks at; a few hundredths of a second (measured)."""

HIGHEST: Final = 2**63 - 1
"""The largest number a task's id can be."""

NEWEST: Final = """
select id, status, tenant_id, error_code from task
where id < %(before)s and id >= %(low)s order by id desc limit %(window)s
"""

RUNNING: Final = """
select t.id, t.status, t.tenant_id, t.error_code from task t
where t.id = any(array(select unnest(task_ids) from lease))
    and t.id < %(before)s and t.id >= %(low)s order by t.id desc limit %(window)s
"""

DEAD: Final = """
select task_id as id, 'DeadLettered' as status, tenant_id, error_code from dead_letter
where task_id < %(before)s and task_id >= %(low)s order by task_id desc limit %(window)s
"""

SOURCE_OF: Final = {TaskStatus.RUNNING.value: RUNNING, TaskStatus.DEAD_LETTERED.value: DEAD}

# The window is a subquery with a limit: the planner neither widens nor skips it, and reads no
# more of it than it takes to fill the page.
MATCHING: Final = """
select t.id from ({window}) t where {condition} order by t.id desc limit %(limit)s
"""

LOOKED: Final = "select min(t.id) as lowest, count(*)::int as tasks from ({window}) t"

ROWS: Final = f"""
{COLUMNS}, n.name as tenant {SOURCES} left join tenant n on n.id = t.tenant_id
where t.id = any(%(ids)s) order by t.id desc
"""

CONDITIONS: Final = {
    "status": "t.status = %(status)s",
    "tenant": "t.tenant_id = (select id from tenant where name = %(tenant)s)",
    "error_code": "t.error_code = %(error_code)s",
}


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks; None means any. ``job`` is ``job-7`` or a uid."""

    status: str | None = None
    tenant: str | None = None
    error_code: str | None = None
    job: str | None = None


class TaskPage(NamedTuple):
    """Tasks, newest first; ``before`` is where to go on, None at the end.

    ``looked`` is how many tasks were looked at for them, where that was all a page may look at.
    """

    items: list[dict[str, Any]]
    before: int | None
    looked: int | None


def newest_tasks(wanted: TaskFilter, *, before: int | None, limit: int) -> TaskPage:
    """Return the next tasks below ``before``; four statements at most, whatever there is."""
    window = SOURCE_OF.get(wanted.status or "", NEWEST)
    parameters = _parameters(wanted, before, limit)
    conditions = [text for name, text in CONDITIONS.items() if parameters[name] is not None]
    matching = MATCHING.format(window=window, condition=" and ".join(conditions) or "true")
    ids = [row["id"] for row in select(matching, parameters)]
    items = [_item(row) for row in select(ROWS, {"ids": ids[:limit]})]
    if len(ids) > limit:
        return TaskPage(items, ids[limit - 1], None)
    looked = select(LOOKED.format(window=window), parameters)[0]
    more = looked["tasks"] == WINDOW
    return TaskPage(items, looked["lowest"] if more else None, WINDOW if more else None)


def _parameters(wanted: TaskFilter, before: int | None, limit: int) -> dict[str, Any]:
    low, high = 0, HIGHEST
    if wanted.job is not None:
        job = job_numbers([wanted.job]).get(wanted.job, 0)
        low, high = job << TASK_BITS, (job + 1) << TASK_BITS
    return {
        "status": wanted.status,
        "tenant": wanted.tenant,
        "error_code": wanted.error_code,
        "low": low,
        "before": min(high, HIGHEST if before is None else before),
        "window": WINDOW,
        "limit": limit + 1,
    }


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {**task_row(row), "tenant": row["tenant"], "job": job_name(split_task_id(row["id"])[0])}
