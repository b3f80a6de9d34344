"""Finished jobs are kept for a while, then deleted with everything they own."""

from jobs.actions.transactions import in_transaction
from jobs.transitions import removal

JOBS_PER_PASS = 50


@in_transaction
def delete_old_jobs(*, days: int) -> int:
    """Delete some jobs that ended more than ``days`` days ago; returns how many.

    Usage entries and the audit log stay. Claims never wait for it: only ended jobs are touched.
    """
    return removal.delete_jobs(removal.ended_before(days=days, limit=JOBS_PER_PASS))
