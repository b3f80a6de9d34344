"""``AIWorkerPool``: the pool's limits in the fabric, its Deployment, and how many agents it has."""

import logging
import time
from datetime import datetime
from typing import Any

import msgspec

from client.errors import ClientError
from kube.cluster import DEPLOYMENTS, PODS, ClusterError, Conflict
from kube.controllers.base import Resource, now
from kube.controllers.declared import DeclaredController
from kube.reconcile import pool as rules
from kube.reconcile import scaling
from kube.reconcile.deployment import (
    Agents,
    change_of,
    deployment,
    deployment_name,
    is_owned,
    selector,
)
from kube.reconcile.refusals import Refusal, refusal_of_declaration
from kube.resources import AI_WORKER_POOL, AIWorkerPoolSpec
from kube.work_queue import Key

LOOK_SECONDS = 5.0
"""How often the work that waits is counted."""

FORBIDDEN = 403

Object = dict[str, Any]
logger = logging.getLogger(__name__)


class PoolController(DeclaredController):
    """Reconciles ``AIWorkerPool``."""

    kind = AI_WORKER_POOL

    def __init__(self, cluster: Any, fabric: Any, agents: Agents) -> None:
        super().__init__(cluster, fabric)
        self._agents = agents
        self._windows: dict[str, scaling.Window] = {}

    async def reconcile(self, key: Key, resource: Resource) -> float | None:
        """Declare the limits, count the work, scale, and see that the Deployment is there."""
        if "deletionTimestamp" in resource["metadata"]:
            return None
        try:
            return await self._reconciled(key, resource)
        except ClusterError as error:
            if error.status != FORBIDDEN:
                raise
            return await self._write(key, resource, _nothing(_may_not(key, error)))

    async def _reconciled(self, key: Key, resource: Resource) -> float:
        workers, waiting, unseen = await self._work(key)
        # First what Kubernetes may forbid: where no agents may run, no pool is declared either.
        draining = await self._mark_pods(key, None if unseen else workers)
        refusal, _ = await self.declare(key, resource)
        if refusal and refusal.reason == "NameTaken":
            return await self._write(key, resource, _nothing(refusal))
        spec = msgspec.convert(resource["spec"], AIWorkerPoolSpec)
        limited, scaled_at = Refusal("NotAutoscaled", "spec.autoscaling is left out."), None
        if spec.autoscaling and unseen:
            limited = unseen
        elif spec.autoscaling:
            limited, scaled_at = await self._scale(key, resource, spec, workers, waiting)
            spec = msgspec.structs.replace(spec, replicas=resource["spec"]["replicas"])
        found = await self._deploy(key, resource, spec)
        if not is_owned(found, resource):
            name = deployment_name(key.name)
            refusal = Refusal("NameTaken", f"A Deployment {name} of somebody else's is there.")
        seen = rules.Observed(found, draining, workers, waiting, refusal, limited, scaled_at)
        return await self._write(key, resource, seen)

    async def _work(self, key: Key) -> tuple[list[Object], int, Refusal | None]:
        try:
            workers = await self.fabric.workers(key.name)
            return workers, await self.fabric.waiting_tasks(key.name), None
        except ClientError as error:
            return [], 0, refusal_of_declaration(error)

    async def _scale(
        self,
        key: Key,
        resource: Resource,
        spec: AIWorkerPoolSpec,
        workers: list[Object],
        waiting: int,
    ) -> tuple[Refusal, datetime | None]:
        asked = spec.autoscaling
        assert asked is not None
        bounds = scaling.Bounds(
            asked.min_replicas,
            asked.max_replicas,
            asked.tasks_per_replica or spec.slots,
            asked.scale_down_stabilization_seconds,
        )
        tasks = waiting + sum(each["busy"] for each in workers)
        scale = scaling.wanted(tasks, bounds)
        uid, clock = resource["metadata"]["uid"], time.monotonic()
        window = self._windows.setdefault(uid, scaling.Window(clock))
        replicas = scaling.stabilized(spec.replicas, scale, bounds, window, clock)
        why = Refusal(scale.reason, f"{tasks} tasks ask for {scale.replicas} agents.")
        if replicas == spec.replicas:
            return why, None
        await self.cluster.merge(self.path(key, "scale"), {"spec": {"replicas": replicas}})
        told = f"{spec.replicas} to {replicas} agents: {tasks} tasks are queued or running"
        await self.tell(resource, "Scaled", told, bad=False)
        fresh = await self.cluster.call("GET", self.path(key))
        resource |= fresh
        return why, now()

    async def _mark_pods(self, key: Key, workers: list[Object] | None) -> int:
        """Have idle agents go first when there are to be fewer; how many are going.

        Without ``workers`` nobody knows who is idle, and the marks stay.
        """
        pods = await self.cluster.list(PODS.path(key.namespace), labelSelector=selector(key.name))
        busy = {each["node"]: int(each["busy"]) for each in workers or ()}
        costs = [
            (pod["metadata"]["name"], _cost(pod))
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
        ]
        changed = [] if workers is None else scaling.deletion_costs(costs, busy)
        for name, cost in changed:
            change = {"metadata": {"annotations": {scaling.DELETION_COST: cost}}}
            await self.cluster.merge(PODS.path(key.namespace, name), change)
        return len(pods) - len(costs)

    async def _deploy(self, key: Key, resource: Resource, spec: AIWorkerPoolSpec) -> Object:
        wanted = deployment(resource, spec, self._agents)
        path = DEPLOYMENTS.path(key.namespace, deployment_name(key.name))
        found = await self.cluster.find(path)
        if found is None:
            try:
                made = await self.cluster.post(DEPLOYMENTS.path(key.namespace), wanted)
            except Conflict:
                return await self.cluster.call("GET", path)
            await self.tell(resource, "DeploymentCreated", deployment_name(key.name), bad=False)
            return made
        change = change_of(found, wanted) if is_owned(found, resource) else None
        return await self.cluster.merge(path, change) if change else found

    async def _write(self, key: Key, resource: Resource, seen: rules.Observed) -> float:
        before = resource.get("status", {})
        status = rules.status_of(resource, seen, now())
        later = await self.write_status(key, resource, status)
        if later is not None:
            return later
        if event := rules.event_of(before, status):
            reason, message, bad = event
            await self.tell(resource, reason, message, bad=bad)
        return LOOK_SECONDS


def _may_not(key: Key, error: ClusterError) -> Refusal:
    return Refusal(
        "AgentsMissing",
        f"The operator may not run agents in {key.namespace}: bind its service account to the "
        f"ClusterRole daef-operator-namespace there. ({error})",
    )


def _nothing(refusal: Refusal) -> rules.Observed:
    unscaled = Refusal("NotAutoscaled", "No agents are run for it.")
    return rules.Observed(None, 0, [], 0, refusal, unscaled, None)


def _cost(pod: Object) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(scaling.DELETION_COST, ""))
