"""One registration of the agent: lanes to the control plane, a runner, a watch over both.

Threads: two lanes (claim and settle, so that one batch runs while another settles), heartbeat,
tickets, the runner's reader and sender, and the caller's own, which keeps watch.
"""

import logging
import threading
import time
from enum import Enum

from proto.daef.v1 import worker_pb2
from workeragent import worker
from workeragent.client import CallError, ControlPlane
from workeragent.config import Settings, has_moved
from workeragent.heartbeat import Heartbeat
from workeragent.held import Held, Lease, Share, Stop
from workeragent.lane import Lane
from workeragent.runner import Callbacks, Death, Runner
from workeragent.runner_process import Start
from workeragent.slots import Pace
from workeragent.work import Work

LANES = 2
"""Calls with `want` under way at once: one batch runs while the other is settled."""

WATCH_SECONDS = 0.1
"""How often limits of time are checked."""

STOP_SECONDS = 2.0
"""What a task that was told to stop may still take before its runner is killed."""

DRAIN_SECONDS = 30.0
"""How long running tasks may go on once the agent is to leave."""

STALE_SECONDS = 1.0
"""A short task that waits longer in the runner is handed back: others may be idle."""

RESPAWN_SECONDS = (0.5, 30.0)
"""First and longest wait before a runner that died while starting is started again."""

logger = logging.getLogger(__name__)


class Ending(Enum):
    """Why a session is over."""

    DRAINED = "all work is done or handed back"
    LOST = "the control plane does not know this incarnation any more"


class Session:
    """Everything between Register and Deregister."""

    def __init__(
        self,
        settings: Settings,
        control_plane: ControlPlane,
        registered: worker_pb2.RegisterResponse,
    ) -> None:
        self._settings = settings
        self._control_plane = control_plane
        self._registered = registered
        self.held = Held()
        self._work = Work(settings.slots, self.held, Pace())
        self._over = threading.Event()
        self._lost = threading.Event()
        self._quiet = threading.Event()
        self._drain_until: float | None = None
        self._runner_lock = threading.Lock()
        self._runner: Runner | None = None
        self._respawn_seconds = RESPAWN_SECONDS[0]
        self._tickets_taken = 0

    def run(self, stop: threading.Event) -> Ending:
        """Work until ``stop`` is set or the control plane says to drain; blocks."""
        self._spawn()
        heartbeat = Heartbeat(self._control_plane, self._registered, self.held, self)
        self._thread("heartbeat", heartbeat.run, self._over)
        self._tickets = self._thread("tickets", self._listen)
        lanes = [self._thread(f"lane-{n}", self._lane().run) for n in range(LANES)]
        try:
            while not self._finished():
                self._lost.wait(WATCH_SECONDS)
                if stop.is_set():
                    self.drain()
                self._watch(time.monotonic())
        finally:
            self._end(lanes)
        return Ending.LOST if self._lost.is_set() else Ending.DRAINED

    def free_slots(self) -> int:
        """How many slots are idle now."""
        return max(0, self._settings.slots - self.held.counts(0.0)[0])

    def tickets_taken(self) -> int:
        """How many tickets this incarnation has taken."""
        return self._tickets_taken

    def wake(self) -> None:
        """Work waits: claim as soon as there is room."""
        self._work.wake()

    def _take_ticket(self) -> None:
        self._tickets_taken += 1
        self.wake()

    def gone(self, leases: list[Lease]) -> None:
        """These shares are not held any more: stop them, settle nothing."""
        self._stop_tasks(leases, Stop.GONE)

    def drain(self) -> None:
        """Take no more work, hand back what has not started, let the rest finish."""
        if self._drain_until is not None:
            return
        logger.info("draining: %d tasks are held", len(self.held))
        self._drain_until = time.monotonic() + DRAIN_SECONDS
        self._quiet.set()
        self._work.close()
        self.held.release_parked(time.monotonic(), ordinary_only=False)
        if self._runner is not None:
            self._runner.give_back()
        self._work.notify()

    def lost(self, reason: str) -> None:
        """This incarnation is not known any more: drop everything."""
        if not self._lost.is_set():
            logger.warning("registering anew: %s", reason)
        self._lost.set()

    def unanswered(self) -> None:
        """A heartbeat failed: perhaps the local fabric was started anew elsewhere."""
        if has_moved(self._settings):
            self.lost("the local fabric has moved")

    def _thread(self, name: str, target: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(name=name, target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _lane(self) -> Lane:
        return Lane(
            self._control_plane, self._registered, self._work, self._dispatch, self.lost, self._over
        )

    def _listen(self) -> None:
        url = self._registered.queue_url or self._settings.queue_url
        if url:
            pool = self._settings.pool
            name = f"{self._settings.name}-{self._registered.worker_id}"
            queue_name = self._registered.queue_name or f"daef-{pool}"
            worker.listen(url, queue_name, pool, name, self._take_ticket, self._quiet)

    def _finished(self) -> bool:
        if self._lost.is_set():
            return True
        if self._drain_until is None:
            return False
        late = time.monotonic() > self._drain_until + 2 * STOP_SECONDS + 1
        return late or not len(self.held)

    def _end(self, lanes: list[threading.Thread]) -> None:
        self._quiet.set()
        self._over.set()
        self._work.end()
        with self._runner_lock:
            runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()
        for thread in [*lanes, self._tickets]:
            thread.join(worker.BLOCK_SECONDS + 0.5)
        if not self._lost.is_set():
            try:
                self._control_plane.deregister(self._registered.worker_id)
            except CallError as error:
                logger.warning("could not deregister: %s", error.status)
        self._control_plane.close()

    def _spawn(self) -> None:
        start = Start(
            worker_id=self._registered.worker_id,
            slots=self._settings.slots,
            transport=self._settings.transport,
            endpoints=[one.SerializeToString() for one in self._registered.endpoints],
        )
        with self._runner_lock:
            if not self._over.is_set():
                self._runner = Runner(start, Callbacks(self._opened, self._ended, self._died))

    def _opened(self, runner: Runner) -> None:
        self._respawn_seconds = RESPAWN_SECONDS[0]
        self._work.open()
        self._dispatch()

    def _dispatch(self) -> None:
        if self._drain_until is not None:
            # Claimed while the drain began: too late to start.
            self.held.release_parked(time.monotonic(), ordinary_only=False)
            self._work.notify()
        # Under one lock with the runner's replacement: what is booked into a runner is sent to it.
        with self._runner_lock:
            runner = self._runner
            tasks = self.held.start() if runner is not None and runner.ready_at else []
            if runner is not None and tasks:
                runner.run(tasks)

    def _ended(self, outcomes: list[worker_pb2.Outcome], ran: int, seconds: float) -> None:
        self._work.ended(outcomes, ran, seconds)
        self._dispatch()

    def _died(self, runner: Runner, death: Death) -> None:
        with self._runner_lock:
            if self._runner is runner:
                self._runner = None
            blamed = self.held.runner_lost(death.running, death.by_itself, time.monotonic())
        self._work.close_until_open()
        for task_id in blamed:
            logger.warning("task %d was running in the runner that died", task_id)
        if not death.was_ready:
            self._pause()
        self._respawn()

    def _respawn(self) -> None:
        while not self._over.is_set():
            try:
                self._spawn()
            except OSError as error:
                logger.warning("no new runner for now: %s", type(error).__name__)
                self._pause()
            else:
                return

    def _pause(self) -> None:
        self._over.wait(self._respawn_seconds)
        self._respawn_seconds = min(RESPAWN_SECONDS[1], self._respawn_seconds * 2)

    def _stop_tasks(self, leases: list[Lease], why: Stop) -> None:
        told = self.held.stop(leases, why, time.monotonic())
        runner = self._runner
        if told and runner is not None:
            runner.halt(told)

    def _watch(self, now: float) -> None:
        self._stop_tasks(self.held.expired(now), Stop.GONE)
        if self._drain_until is not None and now > self._drain_until:
            running = [s.lease for s in self.held.in_runner() if s.stop is None]
            self._stop_tasks(running, Stop.RELEASE)
        runner = self._runner
        if runner is not None and runner.ready_at is not None:
            self._watch_runner(runner, runner.ready_at, now)

    def _watch_runner(self, runner: Runner, ready_at: float, now: float) -> None:
        started = {cell.task_id: cell.started for cell in runner.table.read()}
        shares = self.held.in_runner()
        late = [s.lease for s in shares if s.stop is None and _over_time(s, now)]
        self._stop_tasks(late, Stop.TIMEOUT)
        deaf = [
            s
            for s in shares
            if s.stop is not None
            and s.claimed.task_id in started
            and now - max(s.stopped_at, started[s.claimed.task_id]) > STOP_SECONDS
        ]
        if deaf:
            logger.warning("killing the runner: %d tasks did not stop when told to", len(deaf))
            runner.kill()
            return
        waiting = [s for s in shares if s.claimed.task_id not in started]
        if any(now - max(s.arrived, ready_at) > STALE_SECONDS for s in waiting):
            self._work.too_slow()
            runner.give_back()
        unheard = [s.lease for s in shares if s.stop is not None and now - s.stopped_at > 0.5]
        if unheard:
            # Told while they were still on their way to the runner, perhaps.
            runner.halt(unheard)
        if self.held.lonely():
            self.held.release_parked(now - STALE_SECONDS, ordinary_only=True)
            self._work.notify()


def _over_time(share: Share, now: float) -> bool:
    limit = share.claimed.start_to_close_seconds
    return limit > 0 and now - share.arrived > limit
