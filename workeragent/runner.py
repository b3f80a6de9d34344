"""The agent's end of one runner process: start it, talk to it, kill it, notice its death."""

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from queue import SimpleQueue

from proto.daef.v1 import worker_pb2
from workeragent import messages, runner_process
from workeragent.held import Lease

logger = logging.getLogger(__name__)

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["workeragent.fork_server"])


@dataclass(frozen=True)
class Death:
    """How a runner ended: the tasks that had started, and whether it was not our doing."""

    running: frozenset[int]
    by_itself: bool
    was_ready: bool


@dataclass(frozen=True)
class Callbacks:
    """Who is told what; all are called from the runner's reader thread."""

    ready: Callable[["Runner"], None]
    ended: Callable[[list[worker_pb2.Outcome], int, float], None]
    died: Callable[["Runner", Death], None]


class Runner:
    """One process with N slots. It is never started twice: a dead one is replaced."""

    def __init__(self, start: runner_process.Start, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._killed = False
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self.ready_at: float | None = None
        self.table = messages.RunningTable(_CONTEXT, start.slots)
        self._pipe, child_end = _CONTEXT.Pipe()
        # Nothing is ever written here: it breaks when this process ends, and the runner with it.
        lifeline, self._life = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=runner_process.main,
            args=(child_end, lifeline, self.table, start),
            name="daef-runner",
        )
        self._process.start()
        # Ours must be the only other end, or the runner's death would not close the pipe.
        child_end.close()
        lifeline.close()
        for target in (self._send, self._receive):
            threading.Thread(target=target, name=f"runner-{target.__name__}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def run(self, tasks: list[worker_pb2.ClaimedTask]) -> None:
        """Hand over tasks; never blocks."""
        batch = worker_pb2.ClaimResponse(tasks=tasks).SerializeToString()
        self._outbox.put(messages.encode(messages.Run(batch)))

    def halt(self, leases: list[Lease]) -> None:
        """Ask the tasks of these leases to stop."""
        self._outbox.put(messages.encode(messages.Halt(leases)))

    def give_back(self) -> None:
        """Ask for everything that has not started."""
        self._outbox.put(messages.encode(messages.GiveBack()))

    def kill(self) -> None:
        """End the process now; ``died`` follows, and blames no task."""
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """Kill and wait, for the end of the agent or its session."""
        self.kill()
        self._process.join(5)
        self._outbox.put(None)

    def _send(self) -> None:
        try:
            while (data := self._outbox.get()) is not None:
                self._pipe.send_bytes(data)
        except OSError:
            logger.debug("the runner's pipe is closed")

    def _receive(self) -> None:
        try:
            while self._process.sentinel not in wait([self._pipe, self._process.sentinel]):
                self._hear()
            # The last words of a dead runner are still in the pipe.
            while self._pipe.poll():
                self._hear()
        except (EOFError, OSError):
            self._process.join(1)
            self._process.kill()
        self._bury()

    def _hear(self) -> None:
        match messages.decode_for_agent(self._pipe.recv_bytes()):
            case messages.Ready():
                self.ready_at = time.monotonic()
                self._callbacks.ready(self)
            case messages.Ended(outcomes=data, ran=ran, run_seconds=seconds):
                outcomes = list(worker_pb2.SettleRequest.FromString(data).outcomes)
                self._callbacks.ended(outcomes, ran, seconds)

    def _bury(self) -> None:
        self._process.join()
        self._outbox.put(None)
        # Should only what it was forked from be dead, this ends it.
        self._life.close()
        running = frozenset(cell.task_id for cell in self.table.read())
        if not self._killed:
            logger.warning("the runner died by itself, exit code %s", self._process.exitcode)
        self._callbacks.died(self, Death(running, not self._killed, self.ready_at is not None))
