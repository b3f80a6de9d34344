"""Agents that claim and settle over gRPC as real ones do, and run nothing in between."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from proto.daef.v1 import worker_pb2
from workeragent.client import ControlPlane
from workeragent.config import Transport
from workeragent.slots import BATCH

RESULT = '{"x":1}'
HEARTBEAT_SECONDS = 2.0
IDLE_SECONDS = (0.02, 1.0)
"""First and longest wait of an agent that found no work; real ones wait for a ticket."""


@dataclass
class Agent:
    """One incarnation: what it is called, and what it holds."""

    control_plane: ControlPlane
    worker_id: int
    held: list[worker_pb2.ClaimedTask] = field(default_factory=list)

    def work(self, drained: threading.Event) -> int:
        """Claim and settle until an answer brings nothing and ``drained`` is set; tasks settled."""
        settled, (pause, longest) = 0, IDLE_SECONDS
        while self.held or not drained.is_set():
            outcomes = [
                worker_pb2.Outcome(
                    task_id=task.task_id,
                    lease_epoch=task.lease_epoch,
                    kind=worker_pb2.OUTCOME_KIND_SUCCEEDED,
                    result=RESULT,
                )
                for task in self.held
            ]
            if outcomes:
                answer = self.control_plane.settle(
                    worker_pb2.SettleRequest(
                        worker_id=self.worker_id, outcomes=outcomes, want=BATCH
                    )
                )
                statuses = [told.status for told in answer.results]
                settled += statuses.count(worker_pb2.SETTLE_STATUS_APPLIED)
                self.held = list(answer.tasks)
            else:
                request = worker_pb2.ClaimRequest(worker_id=self.worker_id, want=BATCH)
                self.held = list(self.control_plane.claim(request).tasks)
                pause = IDLE_SECONDS[0] if self.held else min(longest, 2 * pause)
                if not self.held:
                    drained.wait(pause)
        return settled

    def beat(self) -> None:
        """One heartbeat, as a real agent sends it every two seconds."""
        held = [
            worker_pb2.TaskLease(task_id=task.task_id, lease_epoch=task.lease_epoch)
            for task in self.held
        ]
        self.control_plane.heartbeat(
            worker_pb2.HeartbeatRequest(worker_id=self.worker_id, held=held, free_slots=1), 5.0
        )


class Agents:
    """Some agents of the pool ``default``, each with a thread of its own."""

    def __init__(self, agents: list[Agent]) -> None:
        self._agents = agents
        self._threads = ThreadPoolExecutor(len(agents))

    def drain(self, drained: threading.Event) -> int:
        """All of them work until there is nothing left; tasks settled."""
        return sum(self._threads.map(lambda agent: agent.work(drained), self._agents))

    def beat(self, over: threading.Event) -> None:
        """Heartbeats of all of them, until it is over."""
        while not over.wait(HEARTBEAT_SECONDS):
            for agent in self._agents:
                agent.beat()

    def close(self) -> None:
        """Leave the fabric."""
        self._threads.shutdown()
        for agent in self._agents:
            agent.control_plane.deregister(agent.worker_id)


@contextmanager
def joined(address: str, token: str, count: int) -> Iterator[Agents]:
    """So many agents of the fabric at this address, until the block ends."""
    control_plane = ControlPlane(Transport(address=address, token=token))
    agents = Agents([_registered(control_plane, number) for number in range(count)])
    over = threading.Event()
    beating = threading.Thread(target=agents.beat, args=(over,), daemon=True)
    beating.start()
    try:
        yield agents
    finally:
        over.set()
        beating.join()
        agents.close()
        control_plane.close()


def _registered(control_plane: ControlPlane, number: int) -> Agent:
    request = worker_pb2.RegisterRequest(
        incarnation=str(uuid.uuid4()),
        name=f"simulated-{number}",
        node="simulated",
        pool="default",
        slots=BATCH,
        kinds=["echo"],
        version="benchmark",
    )
    return Agent(control_plane, control_plane.register(request).worker_id)
