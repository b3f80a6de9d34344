"""Which tasks open again when dead letters do: what hung on them, as far as it can still run."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jobs.states import TASK_ENDS, EdgeKind, SkipReason, TaskStatus


class Edge(NamedTuple):
    """A dependency: the child waits for the parent."""

    parent: int
    child: int
    kind: str


@dataclass(frozen=True, slots=True)
class Reopening:
    """What to do with each task.

    ``queue`` may run at once, ``block`` waits for tasks that are opened again. Of the tasks that
    were asked for, ``held`` have a running task behind them, which must end first, and
    ``hopeless`` need a task that neither succeeded nor is opened again.
    """

    queue: tuple[int, ...]
    block: tuple[int, ...]
    held: tuple[int, ...]
    hopeless: tuple[int, ...]

    @property
    def opened(self) -> list[int]:
        """Every task that is opened again, in key order."""
        return sorted((*self.queue, *self.block))


def plan_reopening(
    asked: Collection[int], statuses: Mapping[int, str], edges: Sequence[Edge]
) -> Reopening:
    """Decide what opening the dead letters ``asked`` means.

    ``edges`` are all those into tasks downstream of ``asked``; ``statuses`` has the tasks asked
    for, those downstream, and the parents that these need.
    """
    held = _above_running(asked, statuses, edges)
    wanted = set(asked) - held
    opened = _reopenable(wanted, statuses, edges)
    waiting = {edge.child for edge in edges if edge.parent in opened} & opened
    return Reopening(
        queue=tuple(sorted(opened - waiting)),
        block=tuple(sorted(waiting)),
        held=tuple(sorted(held)),
        hopeless=tuple(sorted(wanted - opened)),
    )


def obstacle(*, cancelled: bool, ending: bool, budget_used_up: bool) -> SkipReason | None:
    """Why no task of a job can be opened again, if so.

    A job whose budget cannot pay for one more task would fail at once, and its dead letters
    would be cancelled with it.
    """
    if cancelled:
        return SkipReason.JOB_CANCELLED
    if ending:
        return SkipReason.JOB_ENDING
    return SkipReason.BUDGET_USED_UP if budget_used_up else None


def _above_running(
    asked: Iterable[int], statuses: Mapping[int, str], edges: Sequence[Edge]
) -> set[int]:
    """Those of ``asked`` that a running task hangs on, however far below."""
    parents = defaultdict(list)
    for edge in edges:
        parents[edge.child].append(edge.parent)
    running = {task for task, status in statuses.items() if status == TaskStatus.RUNNING}
    return set(asked) & _reached(running & {edge.child for edge in edges}, parents)


def _reopenable(wanted: set[int], statuses: Mapping[int, str], edges: Sequence[Edge]) -> set[int]:
    """What opens: the wanted and all below, less what needs a task that stays unsuccessful."""
    children, above = defaultdict(list), defaultdict(list)
    for edge in edges:
        children[edge.parent].append(edge.child)
        above[edge.child].append(edge)
    opened = wanted | _reached(wanted, children)
    lost = [task for task in opened if not _may_open(task, wanted, opened, above, statuses)]
    while lost:
        opened.difference_update(lost)
        below = {child for task in lost for child in children[task]} & opened
        lost = [task for task in below if not _may_open(task, wanted, opened, above, statuses)]
    return opened


def _may_open(
    task: int,
    wanted: set[int],
    opened: set[int],
    above: Mapping[int, Sequence[Edge]],
    statuses: Mapping[int, str],
) -> bool:
    edges = above.get(task, ())
    if task not in wanted and not any(edge.parent in opened for edge in edges):
        return False
    return not any(
        edge.kind == EdgeKind.NEEDS
        and edge.parent not in opened
        and statuses[edge.parent] in TASK_ENDS - {TaskStatus.SUCCEEDED}
        for edge in edges
    )


def _reached(start: Iterable[int], steps: Mapping[int, Sequence[int]]) -> set[int]:
    """Everything that steps lead to from ``start``, which itself is not in it by that alone."""
    found: set[int] = set()
    todo = list(start)
    while todo:
        for task in steps.get(todo.pop(), ()):
            if task not in found:
                found.add(task)
                todo.append(task)
    return found
