"""What is asked of a job: cancel, suspend, resume, retry. Each may be repeated."""

from collections.abc import Sequence
from functools import partial

from access.actions.audited import audited
from access.actors import Actor
from audit.events import INTERNAL, Action, Origin
from jobs.actions import reopen
from jobs.actions.finish import end_jobs_without_open_tasks, finish_shares
from jobs.actions.trails import JobTrail, verdict
from jobs.actions.transactions import (
    in_brief_transaction,
    in_transaction,
    unless_locked_out,
)
from jobs.errors import NotFound, StateConflict
from jobs.models import Job
from jobs.states import AttemptOutcome, EventKind, JobStatus, TaskStatus, job_name
from jobs.transitions import closing, jobs, reopening, settling
from jobs.transitions.closing import OpenTask
from jobs.transitions.jobs import EventRow, StageDelta
from jobs.transitions.reopening import JobFacts
from jobs.transitions.settling import EndedShare, ShareEnd
from queueing import tickets

MAX_PASSES = 200
"""Chunks one request cancels itself; the reaper takes what is left."""


def cancel_job(*, job_id: int, actor: Actor, origin: Origin = INTERNAL) -> None:
    """Ask a job to end and cancel what has not ended; a job that has ended stays as it is.

    The flag is committed first and without any task's lock; tasks follow in chunks.
    """
    with audited(JobTrail(Action.JOB_CANCEL, actor, origin, job_id), verdict) as trail:
        _existing(job_id)
        _request_cancel(trail)
    close = partial(close_tasks, job_id, code="cancelled", message="The job was cancelled.")
    # It is asked for by now: what somebody holds up is left to the keeper.
    for _ in range(MAX_PASSES):
        if not unless_locked_out(close):
            break


@in_transaction
def _request_cancel(trail: JobTrail) -> None:
    if jobs.request_cancel(trail.job_id, actor=trail.actor.name):
        trail.done()


@in_brief_transaction
def close_tasks(job_id: int, *, code: str, message: str) -> int:
    """One chunk of a closing job: cancel open tasks that nobody holds; returns how many."""
    tasks = closing.lock_open_tasks(job_id)
    # Those that wait first: the end of a running one must not move what is about to end itself.
    deltas = _cancel_waiting(job_id, tasks, code, message)
    ended = _end_running(tasks, code, message)
    if ended:
        finish_shares(ended, kind=EventKind.TASKS_CANCELLED, actor="", others=deltas)
    else:
        end_jobs_without_open_tasks(jobs.count(deltas))
    return len(tasks)


def _cancel_waiting(
    job_id: int, tasks: Sequence[OpenTask], code: str, message: str
) -> list[StageDelta]:
    waiting = {task.id: task for task in tasks if task.status != TaskStatus.RUNNING}
    cancelled = closing.cancel_waiting(list(waiting), code=code, message=message)
    if cancelled:
        event = EventRow(job_id, EventKind.TASKS_CANCELLED, "{}", f'{{"tasks": {len(cancelled)}}}')
        jobs.record_events([event], actor="")
    return [
        StageDelta(
            job_id,
            waiting[task].stage,
            open=-1,
            blocked=-int(waiting[task].status == TaskStatus.BLOCKED),
            cancelled=1,
        )
        for task in cancelled
    ]


def _end_running(tasks: Sequence[OpenTask], code: str, message: str) -> list[EndedShare]:
    shares = [
        ShareEnd(
            task.id,
            task.epoch,
            task.owner,
            TaskStatus.CANCELLED,
            AttemptOutcome.CANCELLED,
            error_code=code,
            error_message=message,
        )
        for task in tasks
        if task.owner is not None
    ]
    return settling.end_shares(shares) if shares else []


def suspend_job(*, job_id: int, actor: Actor, origin: Origin = INTERNAL) -> None:
    """Take no new claims for a job; running tasks finish.

    Raises StateConflict when the job has ended or is being cancelled.
    """
    with audited(JobTrail(Action.JOB_SUSPEND, actor, origin, job_id), verdict) as trail:
        job = _existing(job_id)
        if job.finished_at or job.cancel_requested_at:
            raise StateConflict(f"{job} has ended or is ending; only an open job can be suspended")
        _suspend(trail)
    for _ in range(MAX_PASSES):
        if not unless_locked_out(partial(_park, job_id)):
            break


@in_transaction
def _suspend(trail: JobTrail) -> None:
    if jobs.suspend(trail.job_id, actor=trail.actor.name):
        trail.done()


@in_brief_transaction
def _park(job_id: int) -> int:
    return closing.park(job_id)


def resume_job(*, job_id: int, actor: Actor, origin: Origin = INTERNAL) -> None:
    """Allow claims again.

    Raises StateConflict when the job has ended.
    """
    with audited(JobTrail(Action.JOB_RESUME, actor, origin, job_id), verdict) as trail:
        job = _existing(job_id)
        if job.finished_at:
            raise StateConflict(f"{job} has ended; only an open job can be resumed")
        _resume(trail)
    tickets.ring(job.pool.name)


@in_transaction
def _resume(trail: JobTrail) -> None:
    if jobs.resume(trail.job_id, actor=trail.actor.name):
        closing.unpark(trail.job_id)
        trail.done()


def retry_job(*, job_id: int, actor: Actor, origin: Origin = INTERNAL) -> int:
    """Run a job's dead-lettered tasks again, and what hung on them; returns how many were reopened.

    Raises StateConflict when the job was cancelled, or is failing at this moment.
    """
    with audited(JobTrail(Action.JOB_RETRY, actor, origin, job_id), verdict) as trail:
        job = _existing(job_id)
        if job.status == JobStatus.CANCELLED or job.cancel_requested_at:
            raise StateConflict(f"{job} was cancelled; submit it again instead")
        if job.failed_reason and not job.finished_at:
            raise StateConflict(f"{job} is ending; retry when it has ended")
        reopened = _retry(trail)
    if reopened:
        tickets.ring(job.pool.name)
    return reopened


@in_transaction
def _retry(trail: JobTrail) -> int:
    job_id = trail.job_id
    reopening.lock_jobs([job_id])
    dead = reopening.dead_letters(job_id)
    if not dead:
        return 0
    prospect = reopen.examine(dead, lock=True)
    if prospect.plan.held:
        raise StateConflict(
            f"{job_name(job_id)} has running tasks that collect what failed; retry when they ended"
        )
    if not prospect.reopened:
        return 0
    (facts,) = reopening.job_facts([job_id])
    if facts.used_up:
        raise StateConflict(
            f"{job_name(job_id)} has used up its budget and would fail again at once; submit it "
            "again with a higher budget.limit_usd"
        )
    _open(prospect, facts, actor=trail.actor.name)
    trail.done(tasks=len(prospect.reopened))
    return len(prospect.reopened)


def _open(prospect: reopen.Prospect, facts: JobFacts, *, actor: str) -> None:
    try:
        reopen.carry_out(prospect, dearest={facts.job_id: facts.dearest_nano_usd}, actor=actor)
    except reopen.JobsClosed as error:
        raise StateConflict(
            f"{job_name(facts.job_id)} was cancelled, or is ending, at this moment"
        ) from error


def _existing(job_id: int) -> Job:
    job = Job.objects.select_related("pool").filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"there is no job {job_name(job_id)}")
    return job
