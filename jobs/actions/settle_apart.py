"""Settle around locks that somebody holds: each job by itself, so that the rest is done."""

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial

from django.db import OperationalError

from jobs.actions.settle import Answer, Answers, Report, SettleRequest, SettleStatus, settle
from jobs.actions.stuck import StuckJobs
from jobs.actions.transactions import BRIEF_MILLISECONDS, is_locked_out
from jobs.states import TASK_BITS

BUSY = Answer(SettleStatus.BUSY, "somebody holds this job's rows; send the outcome again")

APART_MILLISECONDS = 100
"""How long a settlement of one job waits for a lock once it is known that somebody holds some: all
calls of this control plane wait behind it, and there may be many such jobs."""


class Settler:
    """Settles for the workers of one control plane; remembers the jobs that held it up."""

    def __init__(self) -> None:
        self._stuck = StuckJobs()

    def settle(self, requests: Sequence[SettleRequest]) -> list[Answers]:
        """Settle in one transaction; where a lock is in its way, each job by itself.

        Outcomes of jobs that are locked are answered BUSY, and stay their workers'.
        """
        reported = {_job(report) for request in requests for report in request.reports}
        stuck = set(self._stuck.now())
        if stuck.isdisjoint(reported):
            told = _unless_locked(partial(settle, requests))
        else:
            told = _settle_jobs(requests, reported - stuck, milliseconds=BRIEF_MILLISECONDS)
        return told or self._settle_apart(requests, sorted(reported - stuck))

    def _settle_apart(
        self, requests: Sequence[SettleRequest], jobs: Iterable[int]
    ) -> list[Answers]:
        answers = [[BUSY] * len(request.reports) for request in requests]
        for job in jobs:
            told = _settle_jobs(requests, {job}, milliseconds=APART_MILLISECONDS)
            if told is None:
                self._stuck.add([job])
            else:
                answers = list(map(_merged, answers, told))
        return answers


def _settle_jobs(
    requests: Sequence[SettleRequest], jobs: Set[int], *, milliseconds: int
) -> list[Answers] | None:
    """Settle what was reported of these jobs; everything else is answered BUSY."""
    parts = [
        request._replace(reports=[report for report in request.reports if _job(report) in jobs])
        for request in requests
    ]
    told = _unless_locked(partial(settle, parts, lock_milliseconds=milliseconds))
    if told is None:
        return None
    return [
        [next(part) if _job(report) in jobs else BUSY for report in request.reports]
        for request, part in zip(requests, map(iter, told), strict=True)
    ]


def _unless_locked(settling: Callable[[], list[Answers]]) -> list[Answers] | None:
    try:
        return settling()
    except OperationalError as error:
        if not is_locked_out(error):
            raise
        return None


def _merged(some: Answers, others: Answers) -> Answers:
    return [other if one is BUSY else one for one, other in zip(some, others, strict=True)]


def _job(report: Report) -> int:
    return report.task_id >> TASK_BITS
