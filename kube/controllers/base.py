"""What every controller has: the two APIs, guarded writes of status and finalizers, events."""

import logging
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from kube.cluster import EVENTS, Cluster, ClusterError, Conflict, Gone, Place, place_of
from kube.fabric import Fabric
from kube.metrics import STATUS_WRITES
from kube.reconcile.conditions import written
from kube.reconcile.job import STATUS_SECONDS
from kube.resources import Kind
from kube.work_queue import Key

Resource = dict[str, Any]
logger = logging.getLogger(__name__)


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Controller(ABC):
    """Base: subclasses say what to do with one resource in ``reconcile``."""

    kind: Kind

    def __init__(self, cluster: Cluster, fabric: Fabric) -> None:
        self.cluster, self.fabric = cluster, fabric
        self.place: Place = place_of(self.kind)
        self._written: dict[str, float] = {}

    async def look(self, key: Key) -> float | None:
        """Read the resource and do what is next; after how many seconds to look again.

        Watch events only say that something may have changed: what counts is what is read here.
        """
        resource = await self.cluster.find(self.path(key))
        if resource is None:
            return None
        try:
            return await self.reconcile(key, resource)
        except Conflict:
            return 0.0
        except Gone:
            return 0.5

    @abstractmethod
    async def reconcile(self, key: Key, resource: Resource) -> float | None:
        """Do what is next; after how many seconds to look again, None for never."""

    def path(self, key: Key, part: str = "") -> str:
        """The resource's path, or that of a part of it."""
        return self.place.path(key.namespace or None, key.name, part)

    async def write_status(
        self, key: Key, resource: Resource, status: dict[str, Any]
    ) -> float | None:
        """Write the status if it changed, at most once in two seconds; else when to try again."""
        if status == resource.get("status", {}):
            return None
        uid = resource["metadata"]["uid"]
        left = self._written.get(uid, 0.0) + STATUS_SECONDS - time.monotonic()
        if left > 0:
            return left
        path = self.path(key, "status")
        resource["metadata"] |= (await self.cluster.put(path, {**resource, "status": status}))[
            "metadata"
        ]
        self._written[uid] = time.monotonic()
        self._forget_old()
        STATUS_WRITES.labels(self.kind.name).inc()
        return None

    def _forget_old(self) -> None:
        if len(self._written) > 10_000:
            since = time.monotonic() - STATUS_SECONDS
            self._written = {uid: at for uid, at in self._written.items() if at > since}

    async def set_finalizers(self, key: Key, resource: Resource, finalizers: list[str]) -> None:
        """Write the finalizers, unless the resource was changed since it was read."""
        version = resource["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
        await self.cluster.merge(self.path(key), change)

    async def tell(self, resource: Resource, reason: str, message: str, *, bad: bool) -> None:
        """An event of the resource; one that cannot be written is only logged."""
        metadata = resource["metadata"]
        namespace = metadata.get("namespace", "default")
        moment = written(now())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name'][:200]}.{uuid4().hex[:16]}"},
            "involvedObject": {
                "apiVersion": resource["apiVersion"],
                "kind": resource["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                **({"namespace": namespace} if "namespace" in metadata else {}),
            },
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if bad else "Normal",
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": "daef-operator"},
            "reportingComponent": "daef.io/operator",
        }
        try:
            await self.cluster.post(EVENTS.path(namespace), event)
        except ClusterError as error:
            logger.warning("the event %s was not written: %s", reason, error)
