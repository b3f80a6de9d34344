"""How a job ends: a pure function of its tasks, limits and cancel flag."""

from jobs.states import JobStatus, Reason

FAILED = {
    Reason.DEADLINE_EXCEEDED: "The job's deadline passed before all tasks had ended.",
    Reason.BUDGET_EXCEEDED: "What is left of the budget does not pay for another task.",
    Reason.FAILURES_EXCEEDED: "More tasks failed than max_failed_percent allows.",
}


def tolerance_passed(*, total: int, dead_lettered: int, max_failed_percent: float | None) -> bool:
    """Whether more tasks failed than the job tolerates; without a limit none are too many."""
    if max_failed_percent is None:
        return False
    return dead_lettered * 100 > max_failed_percent * total


def job_end(
    *,
    total: int,
    succeeded: int,
    dead_lettered: int,
    cancelled: int,
    final_succeeded: bool,
    cancel_requested: bool,
    failed_reason: Reason | None,
    max_failed_percent: float | None,
) -> tuple[JobStatus, Reason, str]:
    """Status, reason and message of a job without open tasks.

    ``final_succeeded`` says whether a task that nothing depends on succeeded.
    """
    if cancel_requested and succeeded < total:
        return (
            JobStatus.CANCELLED,
            Reason.CANCELLED,
            f"{cancelled} of {total} tasks were cancelled.",
        )
    if failed_reason is not None and (succeeded < total):
        return JobStatus.FAILED, failed_reason, FAILED[failed_reason]
    if tolerance_passed(
        total=total, dead_lettered=dead_lettered, max_failed_percent=max_failed_percent
    ):
        return JobStatus.FAILED, Reason.FAILURES_EXCEEDED, FAILED[Reason.FAILURES_EXCEEDED]
    if succeeded == total:
        return JobStatus.SUCCEEDED, Reason.ALL_SUCCEEDED, ""
    if not final_succeeded:
        message = f"No final task succeeded; {dead_lettered} of {total} tasks failed."
        reason = Reason.DEPENDENCY_FAILED if cancelled else Reason.FAILURES_EXCEEDED
        return JobStatus.FAILED, reason, message
    message = f"{dead_lettered} of {total} tasks failed."
    if dead_lettered:
        return JobStatus.PARTIALLY_SUCCEEDED, Reason.WITHIN_TOLERANCE, message
    return JobStatus.SUCCEEDED, Reason.ALL_SUCCEEDED, ""
