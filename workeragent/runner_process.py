"""The runner: the one process in which executors run and models live.

N slots are N threads. The runner says what ended in batches, and dies by itself as soon as its
agent does: the closed pipe tells it.
"""

import contextlib
import fcntl
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import Empty
from typing import TYPE_CHECKING, NoReturn

import faultpoints
from proto.daef.v1 import worker_pb2
from workeragent import attempt, messages
from workeragent.config import Transport, fabric_file
from workeragent.executors.context import StopFlag, Task
from workeragent.lease_services import LeaseServices
from workeragent.line import Line

if TYPE_CHECKING:
    from workeragent.models.client import ModelClient

LINGER_SECONDS = 0.001
"""How long the first outcome of a batch waits for others that end at the same moment."""

PROGRESS_SECONDS = 0.5
"""How often log lines of running tasks are sent."""


@dataclass(frozen=True)
class Start:
    """What a runner is started with; ``endpoints`` are serialized ModelEndpoint messages."""

    worker_id: int
    slots: int
    transport: Transport
    endpoints: list[bytes] = field(default_factory=list)


def main(
    pipe: Connection, lifeline: Connection, table: messages.RunningTable, start: Start
) -> NoReturn:
    """Entry point of the spawned process; returns never."""
    _die_with(lifeline)
    # Ctrl-C and SIGTERM reach the whole process group, but only the agent decides about them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s runner: %(message)s")
    faultpoints.arm(os.environ, fabric_file(os.environ).parent)
    with contextlib.suppress(EOFError, OSError):
        Runner(pipe, table, start).serve()
    os._exit(0)


def _die_with(lifeline: Connection) -> None:
    """Let Linux kill this process when the other end closes, whatever its threads are doing.

    The thread that reads the agent's pipe notices too, but not while a task holds the interpreter.
    """
    if not hasattr(fcntl, "F_SETSIG"):
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


class Runner:
    """Slots, the line of waiting tasks, and what has ended but was not yet said."""

    def __init__(self, pipe: Connection, table: messages.RunningTable, start: Start) -> None:
        self._pipe = pipe
        self._table = table
        self._start = start
        self._waiting = Line()
        self._flags: dict[tuple[int, int], StopFlag] = {}
        self._lock = threading.Lock()
        self._ended: list[worker_pb2.Outcome] = []
        self._ran = 0
        self._run_ns = 0
        self._news = threading.Event()
        self._services = LeaseServices(start.transport, start.worker_id)
        self._endpoints = [worker_pb2.ModelEndpoint.FromString(one) for one in start.endpoints]

    def serve(self) -> None:
        """Open the slots and obey the agent. Raises EOFError when the agent is gone."""
        for slot in range(self._start.slots):
            self._thread(self._serve_slot, slot)
        self._thread(self._send_ended)
        self._thread(self._send_progress)
        self._pipe.send_bytes(messages.encode(messages.Ready()))
        while True:
            self._obey(messages.decode_for_runner(self._pipe.recv_bytes()))

    def _thread(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _obey(self, message: messages.ToRunner) -> None:
        match message:
            case messages.Run(tasks=tasks):
                for claimed in worker_pb2.ClaimResponse.FromString(tasks).tasks:
                    self._flags[claimed.task_id, claimed.lease_epoch] = StopFlag()
                    self._waiting.put(claimed)
            case messages.Halt(leases=leases):
                for lease in leases:
                    if flag := self._flags.get(lease):
                        flag.set()
            case messages.GiveBack():
                self._give_back()

    def _give_back(self) -> None:
        try:
            while True:
                claimed = self._waiting.get_nowait()
                self._end(claimed, attempt.interrupted(claimed))
        except Empty:
            self._news.set()

    def _serve_slot(self, slot: int) -> None:
        while True:
            claimed = self._waiting.get()
            flag = self._flags[claimed.task_id, claimed.lease_epoch]
            if flag.is_set():
                self._end(claimed, attempt.interrupted(claimed))
            else:
                self._run(slot, claimed, flag)
            # Setting it takes a lock, and mostly it is set: the reader waits for more to end.
            if not self._news.is_set():
                self._news.set()

    def _run(self, slot: int, claimed: worker_pb2.ClaimedTask, flag: StopFlag) -> None:
        started = time.monotonic_ns()
        self._table.enter(slot, claimed.task_id, claimed.lease_epoch, started)
        outcome = attempt.run(claimed, self._services, flag, self._models)
        self._services.flush(claimed.task_id)
        self._end(claimed, outcome, time.monotonic_ns() - started)
        self._table.leave(slot)

    def _end(
        self, claimed: worker_pb2.ClaimedTask, outcome: worker_pb2.Outcome, ran_ns: int = 0
    ) -> None:
        self._flags.pop((claimed.task_id, claimed.lease_epoch), None)
        with self._lock:
            self._ended.append(outcome)
            self._ran += ran_ns > 0
            self._run_ns += ran_ns

    def _models(self, task: Task) -> "ModelClient":
        from workeragent.models.client import ModelClient

        return ModelClient.for_task(self._endpoints, task.ceiling_nano_usd)

    def _send_ended(self) -> None:
        while True:
            self._news.wait()
            # Not yet a whole batch: give those that end at the same moment the chance to join.
            if not self._waiting.empty():
                time.sleep(LINGER_SECONDS)
            self._news.clear()
            with self._lock:
                ended, self._ended = self._ended, []
                ran, self._ran = self._ran, 0
                run_ns, self._run_ns = self._run_ns, 0
            if ended:
                self._send(ended, ran, run_ns / 1e9)

    def _send(self, ended: list[worker_pb2.Outcome], ran: int, seconds: float) -> None:
        outcomes = worker_pb2.SettleRequest(outcomes=ended).SerializeToString()
        try:
            self._pipe.send_bytes(messages.encode(messages.Ended(outcomes, ran, seconds)))
        except OSError:
            os._exit(0)

    def _send_progress(self) -> None:
        while True:
            time.sleep(PROGRESS_SECONDS)
            self._services.flush()
