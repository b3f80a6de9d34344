"""Finished jobs are kept for a while, then deleted with everything they own."""

from jobs.actions.transactions import in_transaction
from jobs.transitions import removal

JOBS_PER_PASS = 50

IDEMPOTENCY_HOURS = 24
"""How long an Idempotency-Key finds its job, as the API promises."""


def clean_up(*, days: int) -> dict[str, int]:
    """Delete some of what is no longer kept; returns how much of each.

    Usage entries and the audit log stay. Claims never wait for it: only ended jobs are touched.
    """
    return {
        "old jobs deleted": delete_old_jobs(days=days),
        "idempotency keys forgotten": forget_keys(),
        "artifacts deleted": delete_unused_artifacts(days=days),
    }


@in_transaction
def delete_old_jobs(*, days: int) -> int:
    """Delete some jobs that ended more than ``days`` days ago; returns how many."""
    return removal.delete_jobs(removal.ended_before(days=days, limit=JOBS_PER_PASS))


@in_transaction
def forget_keys() -> int:
    """Delete idempotency records that are older than promised; returns how many."""
    return removal.delete_keys(hours=IDEMPOTENCY_HOURS)


@in_transaction
def delete_unused_artifacts(*, days: int) -> int:
    """Delete old blobs that neither a file nor a kept job's result names; returns how many."""
    return removal.delete_unused_artifacts(days=days)
