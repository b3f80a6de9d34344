"""The controller that notes on each open job why it is where it is; lists show it for free.

A loop of its own: explaining reads much and may take its time, repairs and wake-ups may not. It
locks nothing while it reads, and writes one job row at a time.
"""

import threading
from functools import partial

from jobs.actions.transactions import in_brief_transaction, unless_locked_out
from jobs.loops import run_passes
from jobs.models import Job
from jobs.policies.explain import Explanation
from jobs.queries.explain import explanation
from jobs.transitions import jobs

PASS_SECONDS = 1.0
REFRESH_SECONDS = 5.0
JOBS_PER_PASS = 25
"""Bounds a pass; with more open jobs the lists' reasons are older, a job's own page never is."""


def run_forever(stop: threading.Event) -> None:
    """Explain until told to stop."""
    run_passes(one_pass, name="explainer", seconds=PASS_SECONDS, stop=stop)


def one_pass() -> dict[str, int]:
    """Bring the oldest reasons of open jobs up to date."""
    numbers = jobs.stale_reasons(seconds=REFRESH_SECONDS, limit=JOBS_PER_PASS)
    for job in Job.objects.select_related("pool", "tenant").filter(pk__in=numbers):
        unless_locked_out(partial(_note, job.pk, explanation(job)))
    return {}


@in_brief_transaction
def _note(job: int, told: Explanation) -> int:
    jobs.note_reason(job, reason=told.reason, message=told.message)
    return 1
