"""One registration of the agent: lanes to the control plane, a runner, a watch over both.

Threads: two lanes (claim and settle, so that one batch runs while another settles), heartbeat,
tickets, the runner's reader and sender, and the caller's own, which keeps watch.
"""

import logging
import threading
import time
from enum import Enum

import probes
from proto.daef.v1 import worker_pb2
from workeragent import worker
from workeragent.client import CallError, ControlPlane
from workeragent.config import Settings, has_moved
from workeragent.heartbeat import Heartbeat
from workeragent.held import Held, Lease, Stop
from workeragent.lane import Lane
from workeragent.runner_process import Start
from workeragent.runners import STOP_SECONDS, Runners
from workeragent.slots import Pace
from workeragent.work import Work

LANES = 2
"""Calls with `want` under way at once: one batch runs while the other is settled."""

WATCH_SECONDS = 0.1
"""How often limits of time are checked."""

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
        signs: probes.Signs | None = None,
    ) -> None:
        self._settings = settings
        self._control_plane = control_plane
        self._registered = registered
        self._signs = signs or probes.Signs()
        self._signs.answered()
        self.held = Held()
        self._work = Work(settings.slots, self.held, Pace())
        self._over = threading.Event()
        self._lost = threading.Event()
        self._quiet = threading.Event()
        self._drain_until: float | None = None
        self._runners = Runners(self._start, settings.slots, self.held, self._work)
        self._tickets_taken = 0

    def run(self, stop: threading.Event) -> Ending:
        """Work until ``stop`` is set or the control plane says to drain; blocks."""
        self._runners.spawn()
        heartbeat = Heartbeat(self._control_plane, self._registered, self.held, self)
        self._thread("heartbeat", heartbeat.run, self._over)
        self._tickets = self._thread("tickets", self._listen)
        lanes = [self._thread(f"lane-{n}", self._lane().run) for n in range(LANES)]
        try:
            while not self._finished():
                self._signs.turned()
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
        self._runners.stop_tasks(leases, Stop.GONE)

    def drain(self) -> None:
        """Take no more work, hand back what has not started, let the rest finish."""
        if self._drain_until is not None:
            return
        logger.info("draining: %d tasks are held", len(self.held))
        self._drain_until = time.monotonic() + self._settings.drain_seconds
        self._signs.leaving()
        self._quiet.set()
        self._work.close()
        self._runners.drain()
        self._work.notify()

    def lost(self, reason: str) -> None:
        """This incarnation is not known any more: drop everything."""
        if not self._lost.is_set():
            logger.warning("registering anew: %s", reason)
        self._lost.set()

    def answered(self) -> None:
        """A heartbeat was answered."""
        if self._drain_until is None:
            self._signs.answered()

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
            self._control_plane,
            self._registered,
            self._work,
            self._runners.dispatch,
            self.lost,
            self._over,
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
        self._runners.close()
        for thread in [*lanes, self._tickets]:
            thread.join(worker.BLOCK_SECONDS + 0.5)
        if not self._lost.is_set():
            try:
                self._control_plane.deregister(self._registered.worker_id)
            except CallError as error:
                logger.warning("could not deregister: %s", error.status)
        self._control_plane.close()

    def _start(self, slots: int) -> Start:
        return Start(
            worker_id=self._registered.worker_id,
            slots=slots,
            transport=self._settings.transport,
            endpoints=[one.SerializeToString() for one in self._registered.endpoints],
        )

    def _watch(self, now: float) -> None:
        self._runners.stop_tasks(self.held.expired(now), Stop.GONE)
        if self._drain_until is not None and now > self._drain_until:
            shares = [*self.held.in_runner(alone=False), *self.held.in_runner(alone=True)]
            running = [share.lease for share in shares if share.stop is None]
            self._runners.stop_tasks(running, Stop.RELEASE)
        self._runners.watch(now)
        self._work.revive()
