"""Opening dead letters again: what a tenant's retry and an operator's requeue have in common.

Each is one transaction: `lock_jobs` of the transitions first, then `examine`, then `carry_out`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.policies.reopening import Edge, Reopening, plan_reopening
from jobs.states import EdgeKind, TaskStatus, split_task_id
from jobs.transitions import jobs, reopening
from jobs.transitions.jobs import StageDelta
from jobs.transitions.reopening import FoundTask, Reopened
from jobs.transitions.sql import integers


class JobsClosed(Exception):
    """These jobs were cancelled, or began to end, while their tasks were being opened."""

    def __init__(self, numbers: set[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True, slots=True)
class Prospect:
    """What opening some dead letters would do, and the tasks as they were."""

    asked: Sequence[int]
    plan: Reopening
    before: Mapping[int, FoundTask]

    @property
    def reopened(self) -> list[int]:
        """Those asked for that are opened, to run at once or after others."""
        return sorted(set(self.asked) & set(self.plan.opened))


def examine(asked: Sequence[int], *, lock: bool) -> Prospect:
    """Look at dead letters and all that hangs on them.

    With ``lock`` everything looked at is locked until the transaction ends, so that the plan can
    be carried out; without, nothing is, and it may be outdated when it is told.
    """
    below = reopening.downstream(asked)
    edges = reopening.edges_into(below)
    scope = sorted({*asked, *below})
    needed = _needed_outside(edges, scope)
    if lock:
        # What was spawned may end at this moment: then first, before its edges are cut.
        reopening.lock_open(reopening.spawned(scope))
    # Whoever ends a parent locks its dependents: those that are needed stand still from here on.
    found = reopening.lock(scope) if lock else reopening.look(scope)
    before = {task.id: task for task in found}
    statuses = {task.id: task.status for task in (*found, *reopening.look(needed))}
    dead = [task for task in asked if statuses.get(task) == TaskStatus.DEAD_LETTERED]
    return Prospect(dead, plan_reopening(dead, statuses, edges), before)


def _needed_outside(edges: Iterable[Edge], scope: Iterable[int]) -> list[int]:
    needed = {edge.parent for edge in edges if edge.kind == EdgeKind.NEEDS}
    return sorted(needed.difference(scope))


def carry_out(prospect: Prospect, *, dearest: Mapping[int, int], actor: str) -> None:
    """Open what was examined under locks, and its jobs; ``dearest`` as in ``JobFacts``.

    Raises JobsClosed, and then the transaction has to be given up.
    """
    plan = prospect.plan
    numbers = sorted({split_task_id(task)[0] for task in plan.opened})
    reopening.supersede(plan.opened)
    jobs.lock_stages(numbers)
    # Of dead letters that hang on each other, only the first may run at once.
    queued = reopening.requeue(plan.queue)
    blocked = reopening.block(plan.block)
    jobs.count(
        [
            *(
                StageDelta(split_task_id(task)[0], stage, open=1, dead_lettered=-1)
                for task, stage in queued
            ),
            *(_blocked_delta(prospect.before[task]) for task in blocked),
        ]
    )
    rows = _reopened(prospect.reopened, dearest)
    if closed := set(numbers) - reopening.reopen_jobs(rows, actor=actor):
        raise JobsClosed(closed)


def _reopened(tasks: Iterable[int], dearest: Mapping[int, int]) -> list[Reopened]:
    by_job = defaultdict(list)
    for task in tasks:
        by_job[split_task_id(task)[0]].append(task)
    return [
        Reopened(job, integers(mine), dearest.get(job, 0)) for job, mine in sorted(by_job.items())
    ]


def _blocked_delta(task: FoundTask) -> StageDelta:
    """A task that waits again leaves the count it was in."""
    was_open = task.status in (TaskStatus.BLOCKED, TaskStatus.QUEUED)
    return StageDelta(
        split_task_id(task.id)[0],
        task.stage,
        open=0 if was_open else 1,
        blocked=0 if task.status == TaskStatus.BLOCKED else 1,
        succeeded=-int(task.status == TaskStatus.SUCCEEDED),
        dead_lettered=-int(task.status == TaskStatus.DEAD_LETTERED),
        cancelled=-int(task.status == TaskStatus.CANCELLED),
    )
