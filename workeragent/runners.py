"""The agent's runners: the one with its slots, and one for the task that has to run alone.

A task that has to run alone does so in a process of its own, which is there while there is one: it
has no neighbours, nobody waits until it is done, and its death harms nobody.
"""

import logging
import threading
import time
from collections.abc import Callable

from proto.daef.v1 import worker_pb2
from workeragent.held import Held, Lease, Share, Stop
from workeragent.runner import Callbacks, Death, Runner
from workeragent.runner_process import Start
from workeragent.work import Work

STOP_SECONDS = 2.0
"""What a task that was told to stop may still take before its runner is killed."""

STALE_SECONDS = 1.0
"""A task that waits longer for a place in its runner is handed back: others may be idle."""

ALONE_SECONDS = 10.0
"""How long the runner of the task that runs alone is kept when there is none."""

RESPAWN_SECONDS = (0.5, 30.0)
"""First and longest wait before a runner that died while starting is started again."""

logger = logging.getLogger(__name__)


class Runners:
    """Both runners of a session; hands them what is parked, and replaces what dies.

    ``start`` makes a runner's Start for a number of slots. Nothing here blocks for long.
    """

    def __init__(self, start: Callable[[int], Start], slots: int, held: Held, work: Work) -> None:
        self._start = start
        self._slots = slots
        self._held = held
        self._work = work
        self._over = threading.Event()
        self._draining = False
        # What is booked into a runner is sent to it before it can be replaced.
        self._lock = threading.Lock()
        self._main: Runner | None = None
        self._alone: Runner | None = None
        self._alone_used = 0.0
        self._pause_seconds = RESPAWN_SECONDS[0]

    def spawn(self) -> None:
        """Start the runner with the slots. Raises OSError where the system has no room for it."""
        with self._lock:
            if not self._over.is_set():
                self._main = self._new(self._slots)

    def dispatch(self) -> None:
        """Hand over what was claimed; while draining, hand it back."""
        if self._draining:
            # Claimed while the drain began: too late to start.
            self._release_parked()
        with self._lock:
            self._hand_over(self._main, alone=False)
            if self._alone is None and self._held.waits_alone() and not self._over.is_set():
                self._alone = self._new_for_one()
            self._hand_over(self._alone, alone=True)

    def drain(self) -> None:
        """Hand back what has not started, from now on."""
        self._draining = True
        self._release_parked()
        for runner in self._living():
            runner.give_back()

    def stop_tasks(self, leases: list[Lease], why: Stop) -> None:
        """Tell the tasks of these leases to stop."""
        told = self._held.stop(leases, why, time.monotonic())
        if told:
            for runner in self._living():
                runner.halt(told)

    def watch(self, now: float) -> None:
        """Look after limits of time; to be called several times a second."""
        for runner, alone in ((self._main, False), (self._alone, True)):
            if runner is not None and runner.ready_at is not None:
                self._watch(runner, runner.ready_at, now, alone=alone)
        if self._held.release_parked(now - STALE_SECONDS, alone=False):
            # Their runner is not there yet.
            self._work.notify()
        self._watch_alone(now)

    def close(self) -> None:
        """End both, and start none any more."""
        self._over.set()
        with self._lock:
            runners = self._living()
            self._main = self._alone = None
        for runner in runners:
            runner.close()

    def _living(self) -> list[Runner]:
        return [runner for runner in (self._main, self._alone) if runner is not None]

    def _new(self, slots: int) -> Runner:
        return Runner(self._start(slots), Callbacks(self._opened, self._ended, self._died))

    def _new_for_one(self) -> Runner | None:
        try:
            return self._new(1)
        except OSError as error:
            # The watch comes by soon and tries again.
            logger.warning("no runner for a task that runs alone: %s", type(error).__name__)
            return None

    def _hand_over(self, runner: Runner | None, *, alone: bool) -> None:
        if runner is None or not runner.ready_at:
            return
        if tasks := self._held.start(alone=alone):
            runner.run(tasks)

    def _release_parked(self) -> None:
        released = [self._held.release_parked(time.monotonic(), alone=a) for a in (False, True)]
        if any(released):
            self._work.notify()

    def _opened(self, runner: Runner) -> None:
        self._pause_seconds = RESPAWN_SECONDS[0]
        with self._lock:
            # Only now is it sure to be in its place.
            is_main = runner is self._main
        if is_main:
            self._work.open()
        self.dispatch()

    def _ended(self, outcomes: list[worker_pb2.Outcome], ran: int, seconds: float) -> None:
        self._work.ended(outcomes, ran, seconds)
        self.dispatch()

    def _died(self, runner: Runner, death: Death) -> None:
        with self._lock:
            if runner not in self._living():
                return
            alone = runner is self._alone
            if alone:
                self._alone = None
            else:
                self._main = None
                self._work.close_until_open()
            now = time.monotonic()
            blamed = self._held.runner_lost(death.running, death.by_itself, now, alone=alone)
        self._work.notify()
        for task_id in blamed:
            logger.warning("task %d was running in the runner that died", task_id)
        if not death.was_ready:
            self._pause()
        if alone:
            self.dispatch()
        else:
            self._respawn()

    def _respawn(self) -> None:
        while not self._over.is_set():
            try:
                self.spawn()
            except OSError as error:
                logger.warning("no new runner for now: %s", type(error).__name__)
                self._pause()
            else:
                return

    def _pause(self) -> None:
        self._over.wait(self._pause_seconds)
        self._pause_seconds = min(RESPAWN_SECONDS[1], self._pause_seconds * 2)

    def _watch_alone(self, now: float) -> None:
        if self._held.waits_alone():
            self.dispatch()
        with self._lock:
            if self._held.waits_alone() or self._held.in_runner(alone=True):
                self._alone_used = now
            elif self._alone is not None and now - self._alone_used > ALONE_SECONDS:
                self._alone.kill()
                self._alone = None

    def _watch(self, runner: Runner, ready_at: float, now: float, *, alone: bool) -> None:
        started = {cell.task_id: cell.started for cell in runner.table.read()}
        shares = self._held.in_runner(alone=alone)
        late = [share.lease for share in shares if share.stop is None and _over_time(share, now)]
        self.stop_tasks(late, Stop.TIMEOUT)
        deaf = [share for share in shares if _is_deaf(share, started, now)]
        if deaf:
            logger.warning("killing the runner: %d tasks did not stop when told to", len(deaf))
            runner.kill()
            return
        waiting = [share for share in shares if share.claimed.task_id not in started]
        if any(now - max(share.arrived, ready_at) > STALE_SECONDS for share in waiting):
            self._work.too_slow()
            runner.give_back()
        unheard = [
            share.lease
            for share in shares
            if share.stop is not None and now - share.stopped_at > 0.5
        ]
        if unheard:
            # Told while they were still on their way to the runner, perhaps.
            runner.halt(unheard)


def _over_time(share: Share, now: float) -> bool:
    limit = share.claimed.start_to_close_seconds
    return limit > 0 and now - share.arrived > limit


def _is_deaf(share: Share, started: dict[int, float], now: float) -> bool:
    if share.stop is None or share.claimed.task_id not in started:
        return False
    return now - max(share.stopped_at, started[share.claimed.task_id]) > STOP_SECONDS
