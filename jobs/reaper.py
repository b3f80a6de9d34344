"""The controller that takes back what lost workers held, at the moment their leases run out.

Any number may run; each pass takes only leases and tasks that nobody else holds.
"""

import random
import threading
from collections.abc import Sequence

from faultpoints import reach
from jobs.actions.finish import finish_shares
from jobs.actions.settle import decided_share
from jobs.actions.stuck import StuckJobs
from jobs.actions.transactions import in_brief_transaction
from jobs.loops import run_passes
from jobs.policies import isolation, retry
from jobs.states import AttemptOutcome, EventKind, TaskStatus
from jobs.ticketer import ring_pools
from jobs.transitions import overdue, settling
from jobs.transitions.overdue import ExpiredShare
from jobs.transitions.settling import ShareEnd

PASS_SECONDS = 0.5
LEASES_PER_CHUNK = 100

MESSAGES = {
    "worker_lost": "The worker that ran this task was lost, or lost touch.",
    "start_to_close_exceeded": "The attempt took longer than start-to-close allows.",
}


def run_forever(stop: threading.Event) -> None:
    """Take back until told to stop."""
    run_passes(
        Reaper().one_pass,
        name="reaper",
        seconds=PASS_SECONDS,
        stop=stop,
        due=overdue.next_expiry_seconds,
    )


class Reaper:
    """Makes the passes; remembers only which jobs' rows somebody held up."""

    def __init__(self) -> None:
        self._stuck = StuckJobs()

    def one_pass(self) -> dict[str, int]:
        """End every share whose lease ran out, and wake agents for what is queued again."""
        count = 0
        while ended := self._stuck.around(reap_leases, _candidates):
            count += ended
        if count:
            ring_pools()
        return {"shares lost": count}


def _candidates() -> list[int]:
    return overdue.jobs_with_expired_leases(limit=LEASES_PER_CHUNK)


@in_brief_transaction
def reap_leases(*, job: int | None = None, without: Sequence[int] = ()) -> int:
    """End the shares of some expired leases; returns how many.

    Of one job where it is named, of none of the jobs ``without``.
    """
    expired = overdue.expired_shares(chunk=LEASES_PER_CHUNK, job=job, without=without)
    if expired:
        reach("reaper.between_select_and_update")
    ended = settling.end_shares([_lost(share) for share in expired]) if expired else []
    finish_shares(ended, kind=EventKind.LEASE_LOST, actor="reaper")
    overdue.drop_empty_leases()
    return len(ended)


def _lost(share: ExpiredShare) -> ShareEnd:
    code = "start_to_close_exceeded" if share.closed else "worker_lost"
    decision = retry.after_failure(
        error_class="timeout" if share.closed else "worker_lost",
        error_code=code,
        message=MESSAGES[code],
        attempt=share.attempt,
        max_attempts=share.max_attempts,
        retry_after_seconds=0.0,
        age_seconds=share.age_seconds,
        schedule_to_close_seconds=share.schedule_to_close_seconds,
        jitter=random.random(),
    )
    end = ShareEnd(
        share.id,
        share.epoch,
        share.owner,
        TaskStatus.QUEUED,
        AttemptOutcome.LOST,
        error_code=code,
        error_message=MESSAGES[code],
        workers_lost=0 if share.closed else isolation.LEASE_RAN_OUT,
    )
    return decided_share(end, decision)
