"""The desk between the lanes and everything that brings news: tickets, heartbeats, the runner."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from proto.daef.v1 import worker_pb2
from workeragent.held import Held
from workeragent.slots import BATCH_SECONDS, Call, Pace, View, next_call

SETTLE_BYTES = 3 * 1024 * 1024
"""Most result bytes in one Settle: under gRPC's default limit of 4 MiB a message."""

POSTPONE_SECONDS = 1.0
"""When an outcome is sent again whose job's rows somebody held."""


@dataclass(frozen=True)
class Errand:
    """One call for a lane: settle these outcomes, claim up to ``want`` tasks."""

    outcomes: list[worker_pb2.Outcome]
    want: int


class Work:
    """Decides what the next call is, and wakes a lane when there is one to make."""

    def __init__(self, slots: int, held: Held, pace: Pace) -> None:
        self._slots = slots
        self._held = held
        self._pace = pace
        self._news = threading.Condition()
        self._asked = 0
        self._hungry = True
        self._woken = False
        self._open = False
        self._leaving = False
        self._over = False

    def next(self) -> Errand | None:
        """Wait for the next call; None when the session is over."""
        with self._news:
            while not self._over:
                step = next_call(self._view(time.monotonic()))
                if isinstance(step, Call):
                    return self._errand(step)
                self._news.wait(step.seconds)
        return None

    def answered(
        self, errand: Errand, tasks: Iterable[worker_pb2.ClaimedTask], lease_until: float
    ) -> None:
        """A call was answered with these tasks."""
        tasks = list(tasks)
        with self._news:
            self._asked -= errand.want
            self._held.add(tasks, lease_until, time.monotonic())
            if errand.want and len(tasks) >= errand.want:
                self._hungry = True
            self._news.notify_all()

    def failed(self, errand: Errand) -> None:
        """A call brought nothing; ask again later."""
        with self._news:
            self._asked -= errand.want
            self._hungry = True
            self._news.notify_all()

    def ended(self, outcomes: list[worker_pb2.Outcome], ran: int, seconds: float) -> None:
        """The runner is done with these tasks."""
        with self._news:
            self._pace.ran(ran, seconds)
            self._held.ended(outcomes, time.monotonic())
            self._news.notify_all()

    def any_held(self, outcomes: list[worker_pb2.Outcome]) -> bool:
        """Whether a lease of these outcomes still runs, so that settling them makes sense."""
        now = time.monotonic()
        return any(self._held.still_held(outcome, now) for outcome in outcomes)

    def settled(self, outcomes: list[worker_pb2.Outcome]) -> None:
        """These were answered, or are past their lease: not held any more."""
        self._held.settled(outcomes)

    def postpone(self, outcomes: list[worker_pb2.Outcome]) -> None:
        """The control plane cannot settle these at the moment: they are sent again later."""
        self._held.postpone(outcomes, time.monotonic() + POSTPONE_SECONDS)

    def revive(self) -> None:
        """Send again what was postponed until now; to be called several times a second."""
        with self._news:
            if self._held.revive(time.monotonic()):
                self._news.notify_all()

    def wake(self) -> None:
        """There may be work: a ticket or a heartbeat says so."""
        with self._news:
            self._hungry = self._woken = True
            self._news.notify()

    def too_slow(self) -> None:
        """Tasks waited too long in the runner: ask for no more than there are slots."""
        with self._news:
            self._pace.at_least(BATCH_SECONDS)

    def open(self) -> None:
        """The runner is ready."""
        with self._news:
            self._open = True
            self._news.notify_all()

    def close_until_open(self) -> None:
        """There is no runner at the moment: settle, but claim nothing."""
        with self._news:
            self._open = False
            self._news.notify_all()

    def close(self) -> None:
        """Claim nothing any more."""
        with self._news:
            self._leaving = True
            self._news.notify_all()

    def notify(self) -> None:
        """Outcomes were booked without the runner."""
        with self._news:
            self._news.notify_all()

    def end(self) -> None:
        """Send the lanes home."""
        with self._news:
            self._over = True
            self._news.notify_all()

    def _view(self, now: float) -> View:
        in_runner, unsettled, oldest = self._held.counts(now)
        return View(
            slots=self._slots,
            in_runner=in_runner,
            asked=self._asked,
            unsettled=unsettled,
            oldest_seconds=oldest,
            mean_seconds=self._pace.mean_seconds,
            hungry=self._hungry,
            woken=self._woken,
            closed=self._leaving or not self._open,
        )

    def _errand(self, call: Call) -> Errand:
        outcomes = self._held.take(call.outcomes, SETTLE_BYTES) if call.outcomes else []
        self._asked += call.want
        if call.want:
            self._hungry = self._woken = False
        return Errand(outcomes, call.want)
