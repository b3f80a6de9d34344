"""Settle around locks that somebody holds: each job by itself, so that the rest is done."""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import partial

from django.db import OperationalError

from jobs.actions.claim import Claimer
from jobs.actions.settle import (
    Answer,
    Report,
    SettleAnswer,
    SettleRequest,
    SettleStatus,
    settle_and_claim,
)
from jobs.actions.stuck import StuckJobs
from jobs.actions.transactions import (
    BRIEF_MILLISECONDS,
    in_transaction,
    is_locked_out,
    wait_briefly,
)
from jobs.states import TASK_BITS

BUSY = Answer(SettleStatus.BUSY, "somebody holds this job's rows; send the outcome again")

APART_MILLISECONDS = 100
"""How long a settlement of one job waits for a lock once it is known that somebody holds some: all
calls of this control plane wait behind it, and there may be many such jobs."""

Chosen = Callable[[int], bool]
"""Whether a job is among those that are settled now."""


class Settler:
    """Settles for the workers of one control plane; remembers the jobs that held it up."""

    def __init__(self, claimer: Claimer) -> None:
        self._claimer = claimer
        self._stuck = StuckJobs()

    def settle(self, requests: Sequence[SettleRequest]) -> list[SettleAnswer]:
        """Settle and claim in one transaction, as `settle_and_claim`.

        Where a lock is in its way, the same without claims: it may be the pool's. Then each job by
        itself. Outcomes of jobs that are locked are answered BUSY, and stay their workers'.
        """
        stuck = set(self._stuck.now())

        def free(job: int) -> bool:
            return job not in stuck

        return (
            _unless_locked(partial(self._settle, requests, free, claims=True))
            or _unless_locked(partial(self._settle_briefly, requests, free, BRIEF_MILLISECONDS))
            or self._settle_apart(requests, stuck)
        )

    def _settle_apart(
        self, requests: Sequence[SettleRequest], stuck: Set[int]
    ) -> list[SettleAnswer]:
        answers = _busy(requests)
        reported = {_job(report) for request in requests for report in request.reports}
        for job in sorted(reported - stuck):
            self._settle_job(job, requests, answers)
        return answers

    def _settle_job(
        self, job: int, requests: Sequence[SettleRequest], answers: list[SettleAnswer]
    ) -> None:
        told = _unless_locked(
            partial(self._settle_briefly, requests, job.__eq__, APART_MILLISECONDS)
        )
        if told is None:
            self._stuck.add([job])
            return
        for request, answer, part in zip(requests, answers, told, strict=True):
            for number, report in enumerate(request.reports):
                if _job(report) == job:
                    answer.answers[number] = part.answers[number]

    @in_transaction
    def _settle_briefly(
        self, requests: Sequence[SettleRequest], chosen: Chosen, milliseconds: int
    ) -> list[SettleAnswer]:
        wait_briefly(milliseconds)
        return self._settle(requests, chosen, claims=False)

    def _settle(
        self, requests: Sequence[SettleRequest], chosen: Chosen, *, claims: bool
    ) -> list[SettleAnswer]:
        """Settle what was reported of some jobs; everything else is answered BUSY."""
        places = [
            [number for number, report in enumerate(request.reports) if chosen(_job(report))]
            for request in requests
        ]
        parts = [
            replace(
                request,
                reports=[request.reports[number] for number in numbers],
                want=request.want if claims else 0,
            )
            for request, numbers in zip(requests, places, strict=True)
        ]
        answers = _busy(requests)
        told = settle_and_claim(parts, self._claimer)
        for answer, numbers, part in zip(answers, places, told, strict=True):
            answer.tasks = part.tasks
            for number, each in zip(numbers, part.answers, strict=True):
                answer.answers[number] = each
        return answers


def _unless_locked(settle: Callable[[], list[SettleAnswer]]) -> list[SettleAnswer] | None:
    try:
        return settle()
    except OperationalError as error:
        if not is_locked_out(error):
            raise
        return None


def _job(report: Report) -> int:
    return report.task_id >> TASK_BITS


def _busy(requests: Sequence[SettleRequest]) -> list[SettleAnswer]:
    return [SettleAnswer([BUSY] * len(request.reports)) for request in requests]
