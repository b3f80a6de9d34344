"""After shares have ended: dependents, counters, budgets, and the ends of jobs."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from jobs.policies import outcome
from jobs.states import EventKind, Reason, TaskStatus
from jobs.transitions import dependents, jobs
from jobs.transitions.dependents import MovedTask
from jobs.transitions.jobs import BudgetDelta, EventRow, JobTotals, StageDelta
from jobs.transitions.settling import EndedShare
from jobs.transitions.sql import integers


def finish_shares(
    ended: Sequence[EndedShare],
    *,
    kind: EventKind,
    actor: str,
    others: Iterable[StageDelta] = (),
) -> None:
    """Carry the consequences of ended shares through the job; in the caller's transaction.

    ``others`` are the counters of other tasks that the transaction added or ended.
    """
    if not ended:
        return
    ends = [
        (share.id, share.status == TaskStatus.SUCCEEDED)
        for share in ended
        if share.fanout and share.status != TaskStatus.QUEUED
    ]
    moved = dependents.unblock(ends) if ends else []
    jobs.settle_budgets(_budget_deltas(ended))
    deltas = [*_share_deltas(ended), *map(moved_delta, moved), *others]
    totals = jobs.count(deltas)
    jobs.record_events(_events(ended, kind), actor=actor)
    end_jobs_without_open_tasks(totals)


def end_jobs_without_open_tasks(totals: Iterable[JobTotals]) -> None:
    """Give each of these jobs that has no open task its one end; note exceeded tolerances."""
    totals = list(totals)
    done = {row.job_id: row for row in totals if row.open == 0}
    for facts in jobs.end_facts(sorted(done)) if done else []:
        row = done[facts.job_id]
        status, reason, message = outcome.job_end(
            total=row.succeeded + row.dead_lettered + row.cancelled,
            succeeded=row.succeeded,
            dead_lettered=row.dead_lettered,
            cancelled=row.cancelled,
            final_succeeded=facts.final_succeeded,
            cancel_requested=facts.cancel_requested,
            failed_reason=Reason(facts.failed_reason) if facts.failed_reason else None,
            max_failed_percent=facts.max_failed_percent,
        )
        jobs.end_job(facts.job_id, status=status, reason=reason, message=message)
    _note_exceeded_tolerance([row for row in totals if row.open and row.dead_lettered])


def _note_exceeded_tolerance(totals: Sequence[JobTotals]) -> None:
    """Fail open jobs with too many dead letters already, rather than run the rest for nothing.

    A job that somebody opened again is judged at its end: dead letters that were left alone must
    not stop those that were chosen.
    """
    if not totals:
        return
    limits = {
        facts.job_id: facts.max_failed_percent
        for facts in jobs.end_facts([r.job_id for r in totals])
        if facts.generation == 1
    }
    for row in totals:
        exceeded = outcome.tolerance_passed(
            total=row.open + row.succeeded + row.dead_lettered + row.cancelled,
            dead_lettered=row.dead_lettered,
            max_failed_percent=limits.get(row.job_id),
        )
        if exceeded:
            jobs.fail(row.job_id, Reason.FAILURES_EXCEEDED)


def moved_delta(task: MovedTask) -> StageDelta:
    """What a dependent's move means for its stage's counters."""
    if task.status == TaskStatus.QUEUED:
        return StageDelta(task.job_id, task.stage, blocked=-1)
    if task.status == TaskStatus.CANCELLED:
        return StageDelta(task.job_id, task.stage, open=-1, blocked=-1, cancelled=1)
    return StageDelta(task.job_id, task.stage)


def _share_deltas(ended: Sequence[EndedShare]) -> list[StageDelta]:
    """One delta per stage and status: settlements are large, and mostly of one kind."""
    alike: dict[tuple[int, int, str], list[EndedShare]] = defaultdict(list)
    for share in ended:
        alike[share.job_id, share.stage, share.status].append(share)
    return [
        StageDelta(
            job,
            stage,
            open=0 if status == TaskStatus.QUEUED else -len(shares),
            succeeded=len(shares) if status == TaskStatus.SUCCEEDED else 0,
            dead_lettered=len(shares) if status == TaskStatus.DEAD_LETTERED else 0,
            cancelled=len(shares) if status == TaskStatus.CANCELLED else 0,
            input_tokens=sum(share.input_tokens for share in shares),
            output_tokens=sum(share.output_tokens for share in shares),
            cost_nano_usd=sum(share.cost_nano_usd for share in shares),
        )
        for (job, stage, status), shares in alike.items()
    ]


def _budget_deltas(ended: Sequence[EndedShare]) -> list[BudgetDelta]:
    """A share books what it spent up to its ceiling; the rest is kept as overrun."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for share in ended:
        if share.ceiling_nano_usd > 0:
            spent = min(share.cost_nano_usd, share.ceiling_nano_usd)
            sums[share.job_id][0] += share.ceiling_nano_usd
            sums[share.job_id][1] += spent
            sums[share.job_id][2] += share.cost_nano_usd - spent
    return [BudgetDelta(job, *values) for job, values in sums.items()]


def _events(ended: Sequence[EndedShare], kind: EventKind) -> list[EventRow]:
    by_job: dict[int, list[EndedShare]] = defaultdict(list)
    for share in ended:
        by_job[share.job_id].append(share)
    return [
        EventRow(
            job,
            kind,
            integers(share.id for share in shares),
            json.dumps(Counter(share.status for share in shares)),
        )
        for job, shares in sorted(by_job.items())
    ]
