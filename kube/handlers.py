"""kopf's part: it watches, and every event puts a key on the queue. Nothing else is kopf's.

Handlers of events leave no annotations and no finalizers of kopf's own. An event that is lost,
repeated, late or stale changes only when a resource is looked at, never what is done with it.
"""

from typing import Any

import kopf

from kube.resources import AI_WORKER_POOL, GROUP, KINDS, VERSION
from kube.work_queue import Key, WorkQueue

POOL_LABEL = "daef.io/pool"


def registry_for(queue: WorkQueue) -> kopf.OperatorRegistry:
    """Handlers that fill this queue."""
    registry = kopf.get_default_registry()

    def changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        queue.add(Key(str(body["kind"]), metadata.get("namespace") or "", metadata["name"]))

    def deployment_changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        for owner in metadata.get("ownerReferences", ()):
            if owner.get("kind") == AI_WORKER_POOL.name:
                queue.add(Key(AI_WORKER_POOL.name, metadata["namespace"], owner["name"]))

    for kind in KINDS:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(changed)
    labelled = {POOL_LABEL: kopf.PRESENT}
    kopf.on.event("apps", "v1", "deployments", labels=labelled, registry=registry)(
        deployment_changed
    )
    return registry


def settings() -> kopf.OperatorSettings:
    """kopf's settings: no peering (a Lease decides), no events and no scans of its own."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.networking.connect_timeout = 10
    chosen.networking.request_timeout = 60
    chosen.watching.server_timeout = 300
    return chosen
