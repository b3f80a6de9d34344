"""The controller of whatever else has run out of time, and of what is no longer needed.

Any number may run; each pass takes only rows that nobody else holds. It is a loop of its own, so
that lost workers' tasks never wait for any of it.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial

from django.conf import settings

from audit.events import INTERNAL
from jobs.actions import fleet, restoring, retention
from jobs.actions.control import close_tasks
from jobs.actions.finish import end_jobs_without_open_tasks, moved_delta
from jobs.actions.stuck import StuckJobs
from jobs.actions.transactions import in_brief_transaction, unless_locked_out
from jobs.loops import run_passes
from jobs.policies import causes
from jobs.states import EventKind, Reason
from jobs.transitions import burials, dependents, jobs, overdue, workers
from jobs.transitions.jobs import StageDelta

PASS_SECONDS = 0.5
TASKS_PER_PASS = 1_000
JOBS_PER_PASS = 100
RETENTION_SECONDS = 60.0

MESSAGES = {
    "schedule_to_start_exceeded": "No worker took the task within schedule-to-start.",
    "schedule_to_close_exceeded": "The task did not end within schedule-to-close.",
    Reason.DEADLINE_EXCEEDED: "The job's deadline passed.",
    Reason.BUDGET_EXCEEDED: "The job's budget was used up.",
    Reason.FAILURES_EXCEEDED: "More of the job's tasks failed than it tolerates.",
}


def run_forever(stop: threading.Event) -> None:
    """Look after it all until told to stop."""
    Keeper().run(stop)


class Keeper:
    """Makes the passes; remembers when it last looked after old jobs, and what held it up."""

    def __init__(self) -> None:
        self._retained_at = time.monotonic()
        self._stuck = StuckJobs()

    def run(self, stop: threading.Event) -> None:
        """One pass every half second."""
        run_passes(self.one_pass, name="keeper", seconds=PASS_SECONDS, stop=stop)

    def one_pass(self) -> dict[str, int]:
        """Everything once; returns how much of each was done."""
        counts = {
            "tasks waited too long": self._stuck.around(bury_overdue, _candidates),
            "jobs past deadline": fail_jobs(),
            "tasks of ending jobs cancelled": close_jobs(),
            "causes found": unless_locked_out(mark_causes),
            "workers gone": unless_locked_out(forget_silent),
        }
        if time.monotonic() - self._retained_at > RETENTION_SECONDS:
            self._retained_at = time.monotonic()
            counts |= retention.clean_up(days=settings.DAEF_RETENTION_DAYS)
            # A standby may have taken over meanwhile, without what it had not received.
            restoring.notice(INTERNAL)
        return counts


def _candidates() -> list[int]:
    return overdue.jobs_with_impatient_tasks(limit=JOBS_PER_PASS)


@in_brief_transaction
def bury_overdue(*, job: int | None = None, without: Sequence[int] = ()) -> int:
    """Send tasks that waited past their limits to the dead letters; returns how many.

    Of one job where it is named, of none of the jobs ``without``.
    """
    found = overdue.waited_too_long(chunk=TASKS_PER_PASS, job=job, without=without)
    if not found:
        return 0
    buried = overdue.bury_waiting([(task, code, MESSAGES[code]) for task, _, _, code in found])
    moved = dependents.unblock([(task.id, False) for task in buried if task.fanout])
    deltas = [StageDelta(task.job_id, task.stage, open=-1, dead_lettered=1) for task in buried]
    totals = jobs.count([*deltas, *map(moved_delta, moved)])
    jobs.record_events(
        [
            jobs.EventRow(job, EventKind.TIMED_OUT, "{}", "{}")
            for job in sorted({task.job_id for task in buried})
        ],
        actor="reaper",
    )
    end_jobs_without_open_tasks(totals)
    return len(buried)


@in_brief_transaction
def mark_causes() -> int:
    """Give dead letters of older processes the fingerprint of their cause; returns how many."""
    found = burials.unmarked(limit=TASKS_PER_PASS)
    marks = [
        burials.Cause(task, causes.fingerprint(code, message)) for task, code, message in found
    ]
    return burials.mark(marks) if marks else 0


def fail_jobs() -> int:
    """Note jobs that have to fail: past their deadline, or unable to pay for another task."""
    late = [(job, Reason.DEADLINE_EXCEEDED) for job in overdue.jobs_past_deadline()]
    poor = [(job, Reason.BUDGET_EXCEEDED) for job in overdue.jobs_out_of_budget()]
    return sum(unless_locked_out(partial(_fail, *each)) for each in sorted(late + poor))


@in_brief_transaction
def _fail(job: int, reason: Reason) -> int:
    return int(jobs.fail(job, reason))


@in_brief_transaction
def forget_silent() -> int:
    """Mark workers that were silent for long and hold nothing as gone; returns how many."""
    return workers.forget_silent(fleet.silent_seconds() * 2)


def close_jobs() -> int:
    """Cancel what is left of jobs that are ending; returns how many tasks."""
    count = 0
    for job, failed_reason in overdue.closing_jobs():
        code, message = "cancelled", "The job was cancelled."
        if failed_reason:
            code, message = "job_failed", MESSAGES[Reason(failed_reason)]
        count += unless_locked_out(partial(close_tasks, job, code=code, message=message))
    return count
