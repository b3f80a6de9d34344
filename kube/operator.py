"""The operator's process: leads or waits, watches, works, and ends as soon as it may not lead."""

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from uuid import uuid4

import kopf

from kube.cluster import Cluster, ClusterError
from kube.controllers.base import Controller
from kube.controllers.declared import EndpointController, PolicyController, QuotaController
from kube.controllers.job import JobController
from kube.controllers.pool import PoolController
from kube.fabric import Fabric
from kube.handlers import registry_for, settings
from kube.leader import Leadership
from kube.metrics import LEADER, RECONCILED, WAITING, serve
from kube.reconcile.deployment import Agents
from kube.resources import API_VERSION, KINDS
from kube.settings import OperatorSettings
from kube.work_queue import Key, WorkQueue

WORKERS = 16
"""Resources that are looked at at once."""

DEFINITIONS_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Operator:
    """Everything of one process."""

    def __init__(self, chosen: OperatorSettings, cluster: Cluster, fabric: Fabric) -> None:
        self._chosen, self._cluster = chosen, cluster
        agents = Agents(chosen.control_plane, chosen.agent_image)
        controllers: list[Controller] = [
            JobController(cluster, fabric),
            PoolController(cluster, fabric, agents),
            EndpointController(cluster, fabric),
            PolicyController(cluster, fabric),
            QuotaController(cluster, fabric),
        ]
        self._controllers = {each.kind.name: each for each in controllers}
        self._queue = WorkQueue(self._look)
        self._stop = asyncio.Event()
        identity = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._leadership = Leadership(cluster, chosen.namespace, identity, chosen.lease_seconds)
        fabric.guard(self._leadership.holds)

    async def run(self) -> int:
        """Run until told to stop (0) or until the Lease is lost (1)."""
        stop = self._stop
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if self._chosen.probe_address:
            await serve(self._chosen.probe_address, lambda: self._leadership.reached)
        WAITING.set_function(lambda: len(self._queue))
        if not await _unless(stop, self._leadership.acquire()):
            return 0
        lost = asyncio.create_task(self._leadership.hold())
        LEADER.set(1)
        works = asyncio.create_task(self._work())
        waits = asyncio.create_task(stop.wait())
        await asyncio.wait({lost, works, waits}, return_when=asyncio.FIRST_COMPLETED)
        orderly = waits.done() and not lost.done()
        LEADER.set(0)
        for task in (works, lost, waits):
            task.cancel()
        results = await asyncio.gather(works, lost, waits, return_exceptions=True)
        if orderly:
            await self._leadership.release()
            return 0
        for result in results:
            if isinstance(result, Exception):
                logger.error("the operator ends: %s", result)
        return 1

    async def _work(self) -> None:
        await self._definitions()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(WORKERS))
            group.create_task(self._watch())

    async def _watch(self) -> None:
        await kopf.operator(
            registry=registry_for(self._queue),
            settings=settings(),
            standalone=True,
            clusterwide=True,
        )
        # It has taken the signals over, and returns after one.
        self._stop.set()

    async def _definitions(self) -> None:
        """Wait for the CustomResourceDefinitions."""
        needed = {kind.plural for kind in KINDS}
        while True:
            with suppress(ClusterError):
                found = await self._cluster.call("GET", f"/apis/{API_VERSION}")
                if needed <= {each["name"] for each in found["resources"]}:
                    return
            logger.warning("waiting for the definitions: kubectl apply --server-side -k config/crd")
            await asyncio.sleep(DEFINITIONS_SECONDS)

    async def _look(self, key: Key) -> float | None:
        try:
            again = await self._controllers[key.kind].look(key)
        except Exception:
            RECONCILED.labels(key.kind, "error").inc()
            raise
        RECONCILED.labels(key.kind, "ok").inc()
        return again


async def _unless(stop: asyncio.Event, work: object) -> bool:
    """Do the work to its end, unless told to stop before."""
    working = asyncio.ensure_future(work)  # type: ignore[call-overload]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    done = working.done() and not stop.is_set()
    working.cancel()
    stopping.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)
    return bool(done)
