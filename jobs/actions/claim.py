"""Give ready tasks to workers: policy chooses, one statement takes."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db import OperationalError

from faultpoints import reach
from jobs.actions.stuck import StuckJobs
from jobs.actions.transactions import in_brief_transaction, in_transaction, is_locked_out
from jobs.models import Pool, Worker
from jobs.policies import fairness
from jobs.states import PRIORITIES, WorkerState
from jobs.transitions import claiming
from jobs.transitions.claiming import MAX_CLAIM, ClaimedRow, GroupRow, ServedRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A worker that wants up to ``want`` tasks."""

    worker: Worker
    want: int
    lease_seconds: float
    is_waiting: Callable[[], bool] = lambda: True
    """Whether the worker still waits for its answer: one that died takes no task along."""


class Claimer:
    """Claims for the workers of one control plane.

    Counts the turns it has given, and remembers the jobs that held it up.
    """

    def __init__(self) -> None:
        self._grants: Counter[int] = Counter()
        self._stuck = StuckJobs()

    def has_work(self, worker: Worker) -> bool:
        """Whether anything is ready that this worker could run; one index probe a capability.

        For one that is bound to a tenant, a probe for each tenant with work in its pool.
        """
        if worker.state != WorkerState.ACTIVE:
            return False
        if worker.tenant_id is None:
            return claiming.any_ready(_reach(worker))
        return any(
            group.tenant == worker.tenant_id for group in claiming.ready_groups(_reach(worker))
        )

    def claim(self, request: ClaimRequest) -> list[ClaimedRow]:
        """Claim for one worker; the caller holds the transaction and the pool's lock."""
        worker = request.worker
        if worker.state != WorkerState.ACTIVE or not request.is_waiting():
            return []
        found, limited = claiming.candidates(_reach(worker), closed=self._stuck.now())
        groups = [group for group in found if worker.tenant_id in (None, group.tenant)]
        want = min(request.want, self._room(worker.pool)) if groups else 0
        constraints = [fairness.Constraint(*row) for row in limited]
        picks = self._choose(worker.pool, groups, constraints, want) if want else []
        if not picks:
            return []
        claimed = claiming.claim(
            pool=worker.pool_id,
            owner=worker.pk,
            actor=worker.name,
            picks=picks,
            served=_start_tags(groups),
            want=want,
            lease_seconds=request.lease_seconds,
        )
        self._grants[worker.pool_id] += len(claimed)
        return claimed

    def look_for_locks(self, workers: Iterable[Worker]) -> None:
        """Find the jobs that a claim would have to wait for, and leave them alone for a while."""
        for worker in workers:
            groups = claiming.ready_groups(_reach(worker))
            self._stuck.add(claiming.held_up_jobs(worker.pool_id, groups))

    @staticmethod
    def _room(pool: Pool) -> int:
        if pool.max_running_tasks is None:
            return MAX_CLAIM
        return min(MAX_CLAIM, claiming.pool_room(pool.pk, pool.max_running_tasks))

    def _choose(
        self,
        pool: Pool,
        groups: Sequence[GroupRow],
        constraints: Sequence[fairness.Constraint],
        want: int,
    ) -> list[fairness.Pick]:
        return fairness.choose(
            [
                fairness.Group(
                    capability=group.capability,
                    priority=group.priority,
                    tenant=group.tenant,
                    oldest_seconds=group.oldest_seconds,
                    served=_start_tag(group),
                )
                for group in groups
            ],
            constraints,
            want=want,
            tenant_room=_tenant_rooms(groups),
            bounds=class_bounds(pool),
            turn=self._grants[pool.pk],
            expected_tokens=1.0,
            weights={group.tenant: group.weight / 100 for group in groups},
        )


def claim_tasks(requests: Sequence[ClaimRequest], claimer: Claimer) -> list[list[ClaimedRow]]:
    """Claim for several workers, around jobs whose rows somebody holds.

    Nobody gets anything where it is the pool that is held.
    """
    try:
        return _claim_tasks(requests, claimer)
    except OperationalError as error:
        if not is_locked_out(error):
            raise
    _look_for_locks(requests, claimer)
    try:
        return _claim_tasks(requests, claimer)
    except OperationalError as error:
        if not is_locked_out(error):
            raise
        logger.warning("nothing can be claimed, a lock is in the way: %s", str(error).strip())
        return [[] for _ in requests]


@in_brief_transaction
def _look_for_locks(requests: Sequence[ClaimRequest], claimer: Claimer) -> None:
    claimer.look_for_locks(request.worker for request in requests)


@in_transaction
def _claim_tasks(requests: Sequence[ClaimRequest], claimer: Claimer) -> list[list[ClaimedRow]]:
    """In one transaction, which does not wait for the disk.

    A claim that a crash of Postgres undoes leaves its tasks queued, and the worker's settlement of
    them is fenced.
    """
    for pool in sorted({request.worker.pool_id for request in requests}):
        claiming.lock_pool(pool)
    claimed = [claimer.claim(request) for request in requests]
    if any(claimed):
        reach("claim.before_commit")
    return claimed


def _reach(worker: Worker) -> claiming.Reach:
    return claiming.Reach(worker.pool_id, worker.kinds, worker.model_names)


def class_bounds(pool: Pool) -> dict[int, float]:
    """How long the oldest ready task of each priority class may wait in this pool (seconds)."""
    return {
        PRIORITIES["interactive"]: pool.interactive_bound_seconds,
        PRIORITIES["standard"]: pool.standard_bound_seconds,
        PRIORITIES["batch"]: pool.batch_bound_seconds,
    }


def _tenant_rooms(groups: Iterable[GroupRow]) -> dict[int, int]:
    return {
        group.tenant: max(0, group.max_running - int(group.running or 0))
        for group in groups
        if group.max_running is not None
    }


def _start_tag(group: GroupRow) -> float:
    """A tenant that comes back starts where the class is now (Goyal et al., SFQ, 1996)."""
    return max(group.served, group.virtual_time)


def _start_tags(groups: Sequence[GroupRow]) -> list[ServedRow]:
    """One row per tenant and class, and the class's virtual time as tenant 0."""
    tags = {(group.priority, group.tenant): group for group in groups}
    rows = [
        ServedRow(priority, tenant, _start_tag(group), group.weight / 100)
        for (priority, tenant), group in tags.items()
    ]
    for priority in {group.priority for group in groups}:
        least = min(row.served for row in rows if row.priority == priority)
        rows.append(ServedRow(priority, 0, least, 1.0))
    return rows
