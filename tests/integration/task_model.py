"""What each task may be, kept as plain values beside the database and compared after each step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.actions.settle import Report, ReportKind, SettleStatus
from jobs.models import Lease, Task
from jobs.states import TASK_ENDS
from jobs.transitions.claiming import ClaimedRow
from jobs.transitions.sql import fetch

TASK_BITS = 20
HOPELESS = frozenset({"invalid_input", "permanent", "budget_exceeded"})
GIVEN_BACK = frozenset({"rate_limited", "overloaded"})

BROKEN_NEEDS = """
select c.id from task c join edge e on e.child_id = c.id and e.kind = 'needs'
    join task p on p.id = e.parent_id
where c.status = 'Blocked' and p.status in ('DeadLettered', 'Cancelled')
"""


ROWS_OF_A_JOB = """
select count(*) from (
    select id from task where id >= %(low)s and id < %(high)s
    union all select task_id from task_input where task_id >= %(low)s and task_id < %(high)s
    union all select task_id from ready where task_id >= %(low)s and task_id < %(high)s
    union all select task_id from delayed where task_id >= %(low)s and task_id < %(high)s
    union all select task_id from attempt where task_id >= %(low)s and task_id < %(high)s
    union all select task_id from dead_letter where task_id >= %(low)s and task_id < %(high)s
    union all select child_id from edge where child_id >= %(low)s and child_id < %(high)s) x
"""


class Share(NamedTuple):
    """One claim of a task by a worker."""

    task: int
    epoch: int
    owner: int


class Seen(NamedTuple):
    """A task's row after a step, as far as the model speaks of it."""

    status: str
    generation: int
    epoch: int
    attempt: int
    max_attempts: int
    owner: int | None
    result: str | None


@dataclass
class TaskModel:
    """Who holds what, who settled what, and how often each task was tried."""

    held: dict[int, Share] = field(default_factory=dict)
    settled: dict[tuple[int, int], int] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    results: dict[int, str | None] = field(default_factory=dict)
    history: list[Share] = field(default_factory=list)
    rows: dict[int, Seen] = field(default_factory=dict)
    overdue: set[int] = field(default_factory=set)

    def claimed(self, owner: int, tasks: Sequence[ClaimedRow]) -> None:
        """A claim was answered; each of its tasks was free and queued."""
        for task in tasks:
            assert task.id not in self.held, "a task was given out while it was held"
            self.attempts[task.id] = self.attempts.get(task.id, 0) + 1
            # One that was added by what the same call settled was not seen before.
            seen = self.rows.get(task.id)
            most, epoch = (seen.max_attempts, seen.epoch) if seen else (task.max_attempts, 0)
            assert task.attempt == self.attempts[task.id] <= most
            assert task.epoch > epoch, "an epoch was used again"
            self.held[task.id] = Share(task.id, task.epoch, owner)
            self.history.append(self.held[task.id])

    def expected_answer(self, owner: int, report: Report) -> SettleStatus:
        """What a worker has to be told of this report now."""
        share = Share(report.task_id, report.epoch, owner)
        if self.held.get(report.task_id) == share:
            bad = report.kind == ReportKind.SUCCEEDED and report.result == "{"
            return SettleStatus.REJECTED if bad else SettleStatus.APPLIED
        if self.settled.get(share[:2]) == owner:
            return SettleStatus.REPEATED
        return SettleStatus.FENCED

    def settle(self, report: Report, status: SettleStatus) -> str:
        """Note an outcome that was taken; returns the status its task has to have now."""
        share = self.held.pop(report.task_id)
        self.settled[share[:2]] = share.owner
        if status == SettleStatus.REJECTED:
            return "DeadLettered"
        if report.kind == ReportKind.SUCCEEDED:
            self.results[share.task] = report.result
            return "Succeeded"
        return self._after_failure(share, report)

    def _after_failure(self, share: Share, report: Report) -> str:
        if report.kind == ReportKind.FAILED and report.error_class in HOPELESS:
            return "DeadLettered"
        free = report.kind == ReportKind.RELEASED or report.error_class in GIVEN_BACK
        used_up = self.attempts[share.task] >= self.rows[share.task].max_attempts
        if share.task in self.overdue or (used_up and not free):
            return "DeadLettered"
        self.attempts[share.task] -= free
        return "Queued"

    def released(self, shares: Sequence[Share]) -> None:
        """These were given back at no cost."""
        for share in shares:
            del self.held[share.task]
            self.settled[share[:2]] = share.owner
            self.attempts[share.task] -= 1

    def lost(self, tasks: Sequence[int]) -> None:
        """The leases of these ran out, or their job was ended over them."""
        for task in tasks:
            del self.held[task]

    def under(self, lease: int) -> list[Share]:
        """The held shares that a lease protects."""
        row = Lease.objects.get(pk=lease)
        return [s for t in row.task_ids if (s := self.held.get(t)) and s.owner == row.owner]

    def forget(self, job: int) -> None:
        """The job was deleted."""
        for book in (self.attempts, self.results, self.rows):
            for task in [task for task in book if task >> TASK_BITS == job]:
                del book[task]
        self.history = [share for share in self.history if share.task >> TASK_BITS != job]

    def compare(self, *, reopening: bool) -> None:
        """The database says what the model says, and nothing moved that may not."""
        before, self.rows = self.rows, {}
        fields = Seen._fields
        for task, *values in Task.objects.values_list("id", *fields):
            self.rows[task] = Seen(*values)
        assert before.keys() <= self.rows.keys(), "a task is gone"
        for task, old in before.items():
            self._check_move(task, old, self.rows[task], reopening)
        running = {t: (row.epoch, row.owner) for t, row in self.rows.items() if row.owner}
        assert running == {t: share[1:] for t, share in self.held.items()}
        for task, row in self.rows.items():
            assert row.attempt == self.attempts.get(task, 0) <= row.max_attempts
            assert row.result == self.results.get(task)
        assert fetch(BROKEN_NEEDS) == [], "a task waits for what can not come"

    def _check_move(self, task: int, old: Seen, new: Seen, reopening: bool) -> None:
        assert new.epoch >= old.epoch
        if new.generation != old.generation:
            assert reopening, "only a retry opens a new generation"
            assert (new.generation, new.epoch) == (old.generation + 1, old.epoch + 1)
            self.attempts[task] = 0
            self.overdue.discard(task)
            self.results.pop(task, None)
        elif old.status in TASK_ENDS:
            assert new == old, "an end was left or rewritten"


def rows_of(job: int) -> int:
    """How many rows belong to the job's tasks."""
    bounds = {"low": job << TASK_BITS, "high": (job + 1) << TASK_BITS}
    return int(fetch(ROWS_OF_A_JOB, bounds)[0][0])
