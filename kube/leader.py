"""Who leads: the holder of a Lease. Several operators may run, one of them acts.

A holder's clock is never compared with ours: a Lease is free when it was not renewed for its
duration while we looked. Two leaders for a moment (one that was stopped and woke up) do no harm:
every write is guarded by resourceVersion, every submission by its idempotency key, and no call of
the fabric begins once the Lease may be another's: a job whose resource is gone would have nobody.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from kube.cluster import LEASES, Cluster, ClusterError, Conflict, Object

LEASE_NAME = "daef-operator"
TURNS = 3
"""How often a Lease is renewed while it lasts."""

logger = logging.getLogger(__name__)


class Leadership:
    """Our share in the Lease; ``identity`` is new with each process."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        identity: str,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._identity, self._seconds, self._clock = (
            cluster,
            identity,
            seconds,
            clock,
        )
        self._list = LEASES.path(namespace)
        self._path = LEASES.path(namespace, LEASE_NAME)
        self._seen: tuple[object, ...] = ()
        self._seen_at = 0.0
        self._renewed = float("-inf")
        self.reached = False
        """Whether the Kubernetes API ever answered."""

    async def acquire(self) -> None:
        """Wait until we hold the Lease."""
        while not await self._tried():
            await asyncio.sleep(self._seconds / TURNS)
        logger.info("leading as %s", self._identity)

    def holds(self) -> bool:
        """Whether it is surely ours still; a process that was stopped may ask before it acts."""
        return self._clock() < self._renewed + self._seconds * 2 / 3

    async def hold(self) -> None:
        """Renew it; return once it is, or may be, another's."""
        while self.holds():
            await asyncio.sleep(self._seconds / TURNS / 2)
            if await self._tried():
                continue
            if self._seen and self._seen[0] not in ("", self._identity):
                break
        logger.error("the Lease %s is lost", self._path)

    async def release(self) -> None:
        """Let the next one lead at once."""
        try:
            lease = await self._cluster.find(self._path)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                await self._cluster.put(self._path, {**lease, "spec": self._spec("", lease)})
        except ClusterError as error:
            logger.warning("the Lease was not released: %s", error)

    async def _tried(self) -> bool:
        began = self._clock()
        try:
            async with asyncio.timeout(self._seconds / TURNS):
                lease = await self._cluster.find(self._path)
                self.reached = True
                taken = await self._taken(lease)
            if taken:
                self._renewed = began
            return taken
        except Conflict:
            return False
        except (ClusterError, TimeoutError) as error:
            logger.warning("the Lease cannot be had: %s", error)
            return False

    async def _taken(self, lease: Object | None) -> bool:
        if lease is None:
            metadata = {"name": LEASE_NAME}
            spec = self._spec(self._identity, None)
            await self._cluster.post(
                self._list,
                {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": metadata,
                    "spec": spec,
                },
            )
            return True
        if not self._is_ours_to_take(lease["spec"]):
            return False
        await self._cluster.put(self._path, {**lease, "spec": self._spec(self._identity, lease)})
        return True

    def _is_ours_to_take(self, spec: Object) -> bool:
        seen = (spec.get("holderIdentity") or "", spec.get("renewTime"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        lasts = float(spec.get("leaseDurationSeconds") or self._seconds)
        return seen[0] in ("", self._identity) or self._clock() > self._seen_at + lasts

    def _spec(self, holder: str, lease: Object | None) -> Object:
        before = lease["spec"] if lease else {}
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        changes = holder != before.get("holderIdentity")
        turns = int(before.get("leaseTransitions") or 0)
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "acquireTime": now if changes else before.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": turns + (changes and bool(holder) and lease is not None),
        }
