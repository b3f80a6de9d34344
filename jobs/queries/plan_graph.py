"""A job's plan as a graph: its tasks with what they wait for, or for large jobs a part of that."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from jobs.models import Job
from jobs.queries.formats import select
from jobs.states import TASK_BITS

MOST_TASKS: Final = 60
"""Tasks that are told one by one; beyond it stages stand for them (console design, section 5c)."""

MOST_EDGES: Final = 600
"""Dependencies read from either end of the plan, whatever the job's size."""

TASKS = """
select t.id, i.name, t.stage, t.status
from (select id, stage, status from task where id >= %(low)s and id < %(high)s
    order by id limit %(most)s) t
left join task_input i on i.task_id = t.id order by t.id
"""

EDGES = """
select e.parent_id, e.child_id, p.stage as parent_stage, c.stage as child_stage
from (
    (select parent_id, child_id from edge where parent_id >= %(low)s and parent_id < %(high)s
    order by parent_id, child_id limit %(most)s)
    union
    (select parent_id, child_id from edge where parent_id >= %(low)s and parent_id < %(high)s
    order by parent_id desc, child_id desc limit %(most)s)) e
join task p on p.id = e.parent_id join task c on c.id = e.child_id
order by e.parent_id, e.child_id
"""


class PlanTask(NamedTuple):
    """One task in the graph."""

    id: int
    name: str
    stage: int
    status: str


class PlanParts(NamedTuple):
    """What a plan's graph is drawn from.

    ``tasks`` is empty where there are too many; ``edges`` are of tasks, ``stage_edges`` of stages.
    """

    tasks: list[PlanTask]
    edges: set[tuple[int, int]]
    stage_edges: set[tuple[int, int]]


def plan_parts(job: Job) -> PlanParts:
    """Return the parts of a job's graph; two statements that read a bounded number of rows."""
    bounds = {"low": job.pk << TASK_BITS, "high": (job.pk + 1) << TASK_BITS}
    rows = select(TASKS, {**bounds, "most": MOST_TASKS + 1})
    edges = select(EDGES, {**bounds, "most": MOST_EDGES})
    whole = len(rows) <= MOST_TASKS and len(edges) < MOST_EDGES
    return PlanParts(
        [_task(row) for row in rows] if whole else [],
        {(edge["parent_id"], edge["child_id"]) for edge in edges},
        {(edge["parent_stage"], edge["child_stage"]) for edge in edges},
    )


def _task(row: dict[str, Any]) -> PlanTask:
    return PlanTask(row["id"], row["name"] or "", row["stage"], row["status"])
