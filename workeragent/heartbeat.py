"""Heartbeats: they keep the leases, and bring back what to stop and whether work waits."""

import logging
import threading
import time
from typing import Protocol

from proto.daef.v1 import worker_pb2
from workeragent.client import CallError, ControlPlane, UnknownWorkerError
from workeragent.held import Held, Lease

LONGEST_CALL_SECONDS = 3.0
"""Deadline of a heartbeat; a third of the lease when that is shorter."""

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Who acts on what a heartbeat brought."""

    def free_slots(self) -> int:
        """How many slots are idle now."""
        ...

    def tickets_taken(self) -> int:
        """How many tickets this incarnation has taken."""
        ...

    def gone(self, leases: list[Lease]) -> None:
        """These shares are not held any more."""
        ...

    def drain(self) -> None:
        """Take no more work, finish, leave."""
        ...

    def wake(self) -> None:
        """Work waits."""
        ...

    def lost(self, reason: str) -> None:
        """This incarnation is not known any more."""
        ...

    def answered(self) -> None:
        """A heartbeat was answered."""
        ...

    def unanswered(self) -> None:
        """A heartbeat failed."""
        ...


class Heartbeat:
    """Beats every ``every_seconds`` from its own thread until ``stop`` is set."""

    def __init__(
        self,
        control_plane: ControlPlane,
        registered: worker_pb2.RegisterResponse,
        held: Held,
        listener: Listener,
    ) -> None:
        self._control_plane = control_plane
        self._worker_id = registered.worker_id
        self._lease_seconds = registered.lease_seconds
        self._every_seconds = max(0.05, registered.heartbeat_seconds)
        self._held = held
        self._listener = listener
        self._answered = True

    def run(self, stop: threading.Event) -> None:
        """Beat until told to stop."""
        while not stop.wait(self._every_seconds):
            self.beat()

    def beat(self) -> None:
        """One heartbeat; never raises for what the control plane says or does not say."""
        leases = self._held.leases()
        request = worker_pb2.HeartbeatRequest(
            worker_id=self._worker_id,
            held=[worker_pb2.TaskLease(task_id=t, lease_epoch=e) for t, e in leases],
            free_slots=self._listener.free_slots(),
            tickets_taken=self._listener.tickets_taken(),
        )
        sent = time.monotonic()
        try:
            response = self._control_plane.heartbeat(request, self._deadline())
        except UnknownWorkerError as error:
            self._listener.lost(error.status)
        except CallError as error:
            self._failed(error)
        else:
            self._heard(response, leases, sent)

    def _deadline(self) -> float:
        return min(LONGEST_CALL_SECONDS, max(0.2, self._lease_seconds / 3))

    def _failed(self, error: CallError) -> None:
        if self._answered:
            logger.warning("the control plane does not answer heartbeats: %s", error.status)
        self._answered = False
        self._listener.unanswered()

    def _heard(
        self, response: worker_pb2.HeartbeatResponse, leases: list[Lease], sent: float
    ) -> None:
        if not self._answered:
            logger.info("the control plane answers heartbeats again")
        self._answered = True
        # Counted from sending: the control plane's clock started later, never earlier.
        self._held.renewed(leases, sent + self._lease_seconds)
        if response.gone:
            self._listener.gone([(lease.task_id, lease.lease_epoch) for lease in response.gone])
        if response.drain:
            self._listener.drain()
        if response.work_waiting:
            self._listener.wake()
        self._listener.answered()
