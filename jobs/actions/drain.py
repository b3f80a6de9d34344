"""An operator takes an agent out of service: it finishes what it has and leaves."""

from __future__ import annotations

from access.actions.audited import Trail, audited
from access.actors import Actor
from audit.events import INTERNAL, Action, Origin
from jobs.actions.trails import verdict
from jobs.actions.transactions import in_transaction
from jobs.errors import NotFound, StateConflict
from jobs.states import WorkerState
from jobs.transitions import workers


def drain_worker(*, worker: int, actor: Actor, origin: Origin = INTERNAL) -> None:
    """Give a worker no more tasks; its next heartbeat tells it to finish and to leave.

    Asked again it changes nothing. Raises NotFound, or StateConflict when the worker has left.
    """
    trail = Trail(Action.WORKER_DRAIN, actor, origin, target=f"worker-{worker}")
    with audited(trail, verdict):
        _drain(worker, trail)


@in_transaction
def _drain(worker: int, trail: Trail) -> None:
    if workers.drain(worker):
        trail.done()
        return
    state = workers.state_of(worker)
    if state is None:
        raise NotFound(f"there is no worker {worker}")
    if state == WorkerState.GONE:
        raise StateConflict(f"worker {worker} has left; there is nothing to drain")
