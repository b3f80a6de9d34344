"""Agents come, stay alive, and go."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from django.conf import settings

from jobs.actions.claim import Claimer
from jobs.actions.finish import finish_shares
from jobs.actions.transactions import (
    in_transaction,
    unless_locked_out,
    wait_briefly,
)
from jobs.errors import LeaseNotHeld
from jobs.models import ModelEndpoint, Pool, Worker
from jobs.states import TASK_BITS, AttemptOutcome, EventKind, TaskStatus, WorkerState
from jobs.transitions import settling, workers
from jobs.transitions.settling import ShareEnd

ENDPOINT_PREFIX = "openai:"
LOST_REPLY_SECONDS = 5.0
"""A task claimed this long ago that its worker does not name: the claim's answer was lost."""

HEARTBEAT_LOCK_MILLISECONDS = 50
"""How long a heartbeat waits for a lock: its answer is due within a third of the lease."""

SILENT_HEARTBEATS = 3
"""A worker that missed this many heartbeats is not counted as live any more."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How an agent describes itself; see ``jobs.models.Worker``."""

    incarnation: str
    token_fingerprint: str
    tenant: int | None
    name: str
    node: str
    pool: str
    slots: int
    kinds: Sequence[str]
    models: Sequence[str]
    version: str


class Share(NamedTuple):
    """A lease share as an agent names it."""

    task_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """What an agent is told at its heartbeat."""

    gone: list[Share]
    drain: bool
    work_waiting: bool


def heartbeat_seconds() -> float:
    """Between two heartbeats: a third of the lease, at most two seconds."""
    return min(settings.DAEF_LEASE_SECONDS / 3, 2.0)


def register(registration: Registration) -> Worker:
    """Make the row of a new incarnation.

    Raises LeaseNotHeld when the incarnation is known: each process start needs its own.
    """
    pool, _ = Pool.objects.get_or_create(name=registration.pool)
    models = reachable(registration.models)
    worker = _insert(registration, pool.pk, models)
    if worker is None:
        raise LeaseNotHeld("this incarnation has registered before; start with a fresh UUID")
    return Worker.objects.select_related("pool").get(pk=worker)


@in_transaction
def _insert(registration: Registration, pool: int, models: Sequence[str]) -> int | None:
    return workers.insert_worker(registration, pool=pool, models=models)


def reachable(models: Sequence[str]) -> list[str]:
    """The models an agent may get work for: its own, and those of endpoints it can enter.

    ``openai:`` stands for endpoints without a key, ``openai:<KEY>`` for those whose key it has.
    """
    own = {model for model in models if not model.startswith(ENDPOINT_PREFIX)}
    for row in ModelEndpoint.objects.filter(enabled=True, backend=ModelEndpoint.Backend.OPENAI):
        if ENDPOINT_PREFIX + key_variable(row.key_name) in models:
            own.update(row.model_names)
    return sorted(own)


def key_variable(key_name: str) -> str:
    """What stands behind DAEF_MODEL_KEY_ in the agents' variable of this key."""
    return re.sub(r"[^A-Z0-9]", "_", key_name.upper())


def silent_seconds() -> float:
    """How long a worker may be silent before it counts as lost."""
    return max(SILENT_HEARTBEATS * heartbeat_seconds(), settings.DAEF_LEASE_SECONDS)


def heartbeat(
    worker: Worker,
    held: Sequence[Share],
    *,
    free_slots: int,
    claimer: Claimer,
    tickets_taken: int = 0,
) -> Pulse:
    """Renew a worker's leases, say which shares are gone, take back what it does not know of."""
    state, lost = _renew(worker, held, free_slots, tickets_taken)
    for _, tasks in itertools.groupby(sorted(lost), lambda task: task >> TASK_BITS):
        # Each job by itself: whatever holds it up, the leases are renewed and others given back.
        unless_locked_out(partial(_take_back, worker, list(tasks)))
    alive = workers.shares_held(worker.pk, [share.task_id for share in held])
    return Pulse(
        gone=[share for share in held if share not in alive],
        drain=state == WorkerState.DRAINING,
        work_waiting=state == WorkerState.ACTIVE and free_slots > 0 and claimer.has_work(worker),
    )


@in_transaction
def _renew(
    worker: Worker, held: Sequence[Share], free_slots: int, tickets_taken: int
) -> tuple[str, list[int]]:
    """The worker's state, and the tasks under its leases that it never heard of."""
    state = workers.beat(worker.pk, free_slots=free_slots, tickets_taken=tickets_taken)
    if state is None:
        raise LeaseNotHeld("this worker is gone; register again")
    leases = workers.renew_leases(worker.pk, lease_seconds=settings.DAEF_LEASE_SECONDS)
    named = {share.task_id for share in held}
    lost = [
        task
        for lease in leases
        if lease.age_seconds > LOST_REPLY_SECONDS
        for task in lease.task_ids
        if task not in named
    ]
    return state, lost


@in_transaction
def _take_back(worker: Worker, tasks: Sequence[int]) -> int:
    wait_briefly(HEARTBEAT_LOCK_MILLISECONDS)
    release_tasks(worker.pk, tasks, actor=worker.name)
    return len(tasks)


def release_tasks(owner: int, tasks: Sequence[int], *, actor: str) -> None:
    """Give back running tasks of a worker at no cost to them; in the caller's transaction."""
    shares = [
        ShareEnd(task, epoch, owner, TaskStatus.QUEUED, AttemptOutcome.RELEASED, given_back=1)
        for task, epoch in workers.shares_held(owner, tasks)
    ]
    ended = settling.end_shares(shares) if shares else []
    finish_shares(ended, kind=EventKind.RELEASED, actor=actor)


@in_transaction
def give_back(worker: Worker, tasks: Sequence[int]) -> None:
    """Give back tasks that a worker claimed and was not told of."""
    release_tasks(worker.pk, tasks, actor=worker.name)


@in_transaction
def deregister(worker: Worker) -> None:
    """End an incarnation; what it still holds is released."""
    workers.set_gone(worker.pk)
    tasks = workers.leased_tasks(worker.pk)
    if tasks:
        release_tasks(worker.pk, tasks, actor=worker.name)
