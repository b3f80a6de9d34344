"""The checker: every invariant of the tables as a query for what breaks it.

``manage.py verify`` runs it over a user's database, the fault tests over theirs. It reads in one
snapshot and may run beside work; on a sound database every query finds nothing.
"""

from django.db import connection, transaction

from audit import checks
from audit.integrity import verify_chain
from jobs.integrity.history import HISTORY
from jobs.integrity.invariant import Invariant, Violation
from jobs.integrity.state import STATE
from jobs.policies import outcome
from jobs.states import JOB_ENDS, JobStatus, Reason
from jobs.transitions.sql import fetch

MOST_SHOWN = 20
INVARIANTS = (*STATE, *HISTORY)
JOB_STATUS = "A job's status and reason are a function of its tasks, limits and flags."
AUDIT_CHAIN = (
    "Every entry of the audit log follows from the one before, and all that were checked are there."
)

# What decides a job's status, recomputed from its tasks.
JOB_FACTS = """
select j.id, j.status, j.reason, j.cancel_requested_at is not null, j.failed_reason,
    j.max_failed_percent, j.suspended_at is not null, j.started_at is not null,
    count(*) filter (where t.status in ('Blocked', 'Queued', 'Running')),
    count(*) filter (where t.status = 'Succeeded'),
    count(*) filter (where t.status = 'DeadLettered'),
    count(*) filter (where t.status = 'Cancelled'),
    bool_or(t.fanout = 0 and t.status = 'Succeeded')
from job j join task t on t.id >= j.id << 20 and t.id < (j.id + 1) << 20
group by j.id order by j.id
"""


def check_all() -> list[Violation]:
    """Every broken invariant; an empty list is a sound database.

    In one snapshot, or within the caller's transaction where there is one.
    """
    joined = connection.in_atomic_block
    with transaction.atomic():
        if not joined:
            fetch("set transaction isolation level repeatable read, read only")
            # It holds no locks, and thinks for long between two queries over millions of rows.
            fetch("set local idle_in_transaction_session_timeout = 0")
        found = [_check(invariant) for invariant in INVARIANTS]
        found += [_check_jobs(), _check_chain()]
    return [violation for violation in found if violation]


def rules() -> list[str]:
    """The names of all rules, those that are no query included."""
    return [*(invariant.name for invariant in INVARIANTS), "job_status", "audit_chain"]


def _check(invariant: Invariant) -> Violation | None:
    rows = fetch(f"select * from ({invariant.statement}) x limit {MOST_SHOWN}")  # nosec B608
    if not rows:
        return None
    return Violation(invariant.name, invariant.rule, tuple(str(row[0]) for row in rows))


def _check_chain() -> Violation | None:
    breach = verify_chain(head=checks.verified())
    return Violation("audit_chain", AUDIT_CHAIN, (breach.message,)) if breach else None


def _check_jobs() -> Violation | None:
    wrong = tuple(_wrong_jobs()[:MOST_SHOWN])
    return Violation("job_status", JOB_STATUS, wrong) if wrong else None


def _wrong_jobs() -> list[str]:
    wrong = []
    for job, status, reason, *facts in fetch(JOB_FACTS):
        expected = _expected(*facts)
        ended = status in JOB_ENDS
        if status != expected[0] or (ended and reason != expected[1]):
            wrong.append(f"job-{job} is {status}/{reason}, expected {'/'.join(expected)}")
    return wrong


def _expected(
    cancel_requested: bool,
    failed_reason: str | None,
    max_failed_percent: float | None,
    suspended: bool,
    started: bool,
    open_tasks: int,
    succeeded: int,
    dead_lettered: int,
    cancelled: int,
    final_succeeded: bool,
) -> tuple[str, str]:
    if open_tasks:
        if suspended:
            return JobStatus.SUSPENDED, Reason.SUSPENDED
        return (JobStatus.RUNNING if started else JobStatus.PENDING), Reason.RUNNING
    status, reason, _ = outcome.job_end(
        total=succeeded + dead_lettered + cancelled,
        succeeded=succeeded,
        dead_lettered=dead_lettered,
        cancelled=cancelled,
        final_succeeded=final_succeeded,
        cancel_requested=cancel_requested,
        failed_reason=Reason(failed_reason) if failed_reason else None,
        max_failed_percent=max_failed_percent,
    )
    return status, reason
