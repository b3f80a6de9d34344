"""What a tenant asks of its job: cancel, suspend, resume, retry. Each may be repeated."""

from collections.abc import Sequence

from access.actors import Actor
from jobs.actions.finish import end_jobs_without_open_tasks, finish_shares
from jobs.actions.transactions import in_transaction
from jobs.errors import NotFound, StateConflict
from jobs.models import Job
from jobs.states import AttemptOutcome, EventKind, JobStatus, TaskStatus, job_name
from jobs.transitions import closing, jobs, reopening, settling
from jobs.transitions.closing import OpenTask
from jobs.transitions.jobs import EventRow, StageDelta
from jobs.transitions.settling import ShareEnd
from queueing import tickets

MAX_PASSES = 200
"""Chunks one request cancels itself; the reaper takes what is left."""


def cancel_job(*, job_id: int, actor: Actor) -> None:
    """Ask a job to end and cancel what has not ended; a job that has ended stays as it is.

    The flag is committed first and without any task's lock; tasks follow in chunks.
    """
    _existing(job_id)
    _request_cancel(job_id, actor.name)
    for _ in range(MAX_PASSES):
        if not close_tasks(job_id, code="cancelled", message="The job was cancelled."):
            break


@in_transaction
def _request_cancel(job_id: int, actor: str) -> None:
    jobs.request_cancel(job_id, actor=actor)


@in_transaction
def close_tasks(job_id: int, *, code: str, message: str) -> int:
    """One chunk of a closing job: cancel open tasks that nobody holds; returns how many."""
    tasks = closing.lock_open_tasks(job_id)
    _end_running(tasks, code, message)
    waiting = {task.id: task for task in tasks if task.status != TaskStatus.RUNNING}
    cancelled = closing.cancel_waiting(list(waiting), code=code, message=message)
    deltas = [
        StageDelta(
            job_id,
            waiting[task].stage,
            open=-1,
            blocked=-int(waiting[task].status == TaskStatus.BLOCKED),
            cancelled=1,
        )
        for task in cancelled
    ]
    totals = jobs.count(deltas)
    if cancelled:
        event = EventRow(job_id, EventKind.TASKS_CANCELLED, "{}", f'{{"tasks": {len(cancelled)}}}')
        jobs.record_events([event], actor="")
    end_jobs_without_open_tasks(totals)
    return len(tasks)


def _end_running(tasks: Sequence[OpenTask], code: str, message: str) -> None:
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
    if shares:
        finish_shares(settling.end_shares(shares), kind=EventKind.TASKS_CANCELLED, actor="")


def suspend_job(*, job_id: int, actor: Actor) -> None:
    """Take no new claims for a job; running tasks finish.

    Raises StateConflict when the job has ended or is being cancelled.
    """
    job = _existing(job_id)
    if job.finished_at or job.cancel_requested_at:
        raise StateConflict(f"{job} has ended or is ending; only an open job can be suspended")
    _suspend(job_id, actor.name)
    for _ in range(MAX_PASSES):
        if not _park(job_id):
            break


@in_transaction
def _suspend(job_id: int, actor: str) -> None:
    jobs.suspend(job_id, actor=actor)


@in_transaction
def _park(job_id: int) -> int:
    return closing.park(job_id)


def resume_job(*, job_id: int, actor: Actor) -> None:
    """Allow claims again.

    Raises StateConflict when the job has ended.
    """
    job = _existing(job_id)
    if job.finished_at:
        raise StateConflict(f"{job} has ended; only an open job can be resumed")
    _resume(job_id, actor.name)
    tickets.ring(job.pool.name)


@in_transaction
def _resume(job_id: int, actor: str) -> None:
    if jobs.resume(job_id, actor=actor):
        closing.unpark(job_id)


def retry_job(*, job_id: int, actor: Actor) -> int:
    """Run a job's dead-lettered tasks again, and what hung on them; returns how many were reopened.

    Raises StateConflict when the job was cancelled, or is failing at this moment.
    """
    job = _existing(job_id)
    if job.status == JobStatus.CANCELLED or job.cancel_requested_at:
        raise StateConflict(f"{job} was cancelled; submit it again instead")
    if job.failed_reason and not job.finished_at:
        raise StateConflict(f"{job} is ending; retry when it has ended")
    reopened = _retry(job_id, actor.name)
    if reopened:
        tickets.ring(job.pool.name)
    return reopened


@in_transaction
def _retry(job_id: int, actor: str) -> int:
    dead = reopening.dead_letters(job_id)
    if not dead:
        return 0
    below = [task for task in reopening.downstream(dead) if task not in set(dead)]
    before = {task.id: task for task in reopening.lock([*dead, *below])}
    if any(task.status == TaskStatus.RUNNING for task in before.values()):
        raise StateConflict(
            f"{job_name(job_id)} has running tasks that collect what failed; retry when they ended"
        )
    reopening.supersede([*dead, *below])
    jobs.lock_stages([job_id])
    requeued = reopening.requeue(dead)
    blocked = reopening.block(below)
    deltas = [StageDelta(job_id, stage, open=1, dead_lettered=-1) for _, stage in requeued]
    deltas += [_blocked_delta(job_id, before[task]) for task in blocked]
    jobs.count(deltas)
    reopening.reopen_job(job_id, [task for task, _ in requeued], actor=actor)
    return len(requeued)


def _blocked_delta(job_id: int, task: reopening.LockedTask) -> StageDelta:
    """A task that waits again leaves the count it was in."""
    was_open = task.status in (TaskStatus.BLOCKED, TaskStatus.QUEUED)
    return StageDelta(
        job_id,
        task.stage,
        open=0 if was_open else 1,
        blocked=0 if task.status == TaskStatus.BLOCKED else 1,
        succeeded=-int(task.status == TaskStatus.SUCCEEDED),
        dead_lettered=-int(task.status == TaskStatus.DEAD_LETTERED),
        cancelled=-int(task.status == TaskStatus.CANCELLED),
    )


def _existing(job_id: int) -> Job:
    job = Job.objects.select_related("pool").filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"there is no job {job_name(job_id)}")
    return job
