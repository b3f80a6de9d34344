"""What each job may be: its end, its money, its idempotency key and who was written down for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from audit.models import AuditEntry
from jobs.actions.settle import Report
from jobs.models import Budget, Job, Task
from jobs.transitions.sql import fetch

TASK_BITS = 20
ENDS = {"Succeeded", "PartiallySucceeded", "Failed", "Cancelled"}
DEEDS = {
    "cancel_requested": "job_cancel",
    "suspended": "job_suspend",
    "resumed": "job_resume",
    "retried": "job_retry",
}
"""Events of a job that an operator causes, and what the audit log calls them."""

# One line for each table: any change of any row changes it.
TABLES = """
select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
    and relname !~ '^(django|auth)' order by relname
"""


class Money(NamedTuple):
    """A budget as far as it is not reserved (nano-USD)."""

    settled: int
    overrun: int


@dataclass
class JobModel:
    """What tenants paid for, which keys they used, and what operators did."""

    cost: dict[int, int] = field(default_factory=dict)
    money: dict[int, Money] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    refused: int = 0

    def paid(self, report: Report, ceiling: int) -> None:
        """An outcome was taken, with what it cost."""
        job, cost = report.task_id >> TASK_BITS, sum(u.cost_nano_usd for u in report.usage)
        self.cost[job] = self.cost.get(job, 0) + cost
        if job in self.money and ceiling > 0:
            spent = min(cost, ceiling)
            settled, overrun = self.money[job]
            self.money[job] = Money(settled + spent, overrun + cost - spent)

    def did(self, before: Mapping[str, int], *, refused: bool) -> None:
        """An operator asked for something: what changed since ``before`` has to be written down."""
        for event, count in events_of_operators().items():
            action = DEEDS[event]
            self.written[action] = self.written.get(action, 0) + count - before.get(event, 0)
        self.refused += refused

    def forget(self, job: int) -> None:
        """The job was deleted."""
        for book in (self.cost, self.money):
            book.pop(job, None)
        self.keys = {key: used for key, used in self.keys.items() if used[1] != job}

    def compare(self) -> None:
        """The database says what the model says."""
        self._compare_money()
        self._compare_audit()
        tasks: dict[int, list[tuple[str, int]]] = {}
        for task, status, fanout in Task.objects.values_list("id", "status", "fanout"):
            tasks.setdefault(task >> TASK_BITS, []).append((status, fanout))
        for job in Job.objects.all():
            _compare_end(job, tasks[job.pk])

    def _compare_money(self) -> None:
        found = {}
        for row in Budget.objects.all():
            found[row.job_id] = Money(row.settled_nano_usd, row.overrun_nano_usd)
            if row.job_id not in self.money:
                paid = min(row.limit_nano_usd, self.cost.get(row.job_id, 0))
                self.money[row.job_id] = Money(paid, 0)
        self.money = {job: money for job, money in self.money.items() if job in found}
        assert found == self.money

    def _compare_audit(self) -> None:
        ok = AuditEntry.objects.filter(result="ok")
        found = {action: ok.filter(action=action).count() for action in DEEDS.values()}
        assert found == {action: self.written.get(action, 0) for action in DEEDS.values()}
        refused = AuditEntry.objects.filter(result="refused", action__in=DEEDS.values())
        assert refused.count() == self.refused


def events_of_operators() -> dict[str, int]:
    """How many events of each kind that operators cause are on record."""
    rows = fetch(
        "select kind, count(*) from job_event where kind = any(%s) group by kind", (list(DEEDS),)
    )
    return dict(rows)


def fingerprint() -> list[str]:
    """Of every row of every table."""
    rows = "coalesce(string_agg(x::text, '' order by x::text), '')"
    each = [f"select '{table}' || md5({rows}) from {table} x" for (table,) in fetch(TABLES)]
    # A plan with parallel parts answers them in any order.
    return sorted(line for (line,) in fetch(" union all ".join(each)))


def _compare_end(job: Job, tasks: Sequence[tuple[str, int]]) -> None:
    """Its tasks, by status and dependents, say whether a job has ended and how."""
    statuses = [status for status, _ in tasks]
    if any(status in ("Blocked", "Queued", "Running") for status in statuses):
        assert job.status not in ENDS, "a job ended before its tasks"
        # One that was opened again is judged at its end.
        stopped = job.failed_reason or job.cancel_requested_at or job.generation > 1
        assert stopped or not _too_many_dead(job, statuses)
    else:
        assert job.status == _end(job, tasks)


def _too_many_dead(job: Job, statuses: Sequence[str]) -> bool:
    """More dead letters than the job tolerates."""
    if job.max_failed_percent is None:
        return False
    return statuses.count("DeadLettered") / len(statuses) * 100 > job.max_failed_percent


def _end(job: Job, rows: Sequence[tuple[str, int]]) -> str:
    statuses = [status for status, _ in rows]
    whole = set(statuses) == {"Succeeded"}
    if job.cancel_requested_at and not whole:
        return "Cancelled"
    if (job.failed_reason and not whole) or _too_many_dead(job, statuses):
        return "Failed"
    if whole:
        return "Succeeded"
    if ("Succeeded", 0) not in rows:
        return "Failed"
    return "PartiallySucceeded" if "DeadLettered" in statuses else "Succeeded"
