"""``ModelEndpoint``, ``ExecutionPolicy``, ``TenantQuota``: the fabric's object of the same name."""

from typing import Any

import msgspec

from client.errors import ClientError
from kube.controllers.base import Controller, Resource, now
from kube.reconcile import declared as rules
from kube.reconcile.refusals import Refusal, refusal_of_declaration
from kube.resources import EXECUTION_POLICY, MODEL_ENDPOINT, TENANT_QUOTA
from kube.resources.rest import rest_body
from kube.work_queue import Key

RESYNC_SECONDS = 300.0
"""How often it is declared again: what somebody changed over REST is put back."""

RETRY_SECONDS = 10.0


class DeclaredController(Controller):
    """Reconciles what is declared under the resource's own name."""

    async def reconcile(self, key: Key, resource: Resource) -> float | None:
        """Declare it; say in the status whether the fabric has it."""
        refusal, answer = await self.declare(key, resource)
        status = rules.status_of(resource, refusal, answer, now())
        return await self.told(key, resource, status, refusal)

    async def declare(
        self, key: Key, resource: Resource
    ) -> tuple[Refusal | None, dict[str, Any] | None]:
        """Have the fabric hold it; why not, and what it answered."""
        first = await self._first(key, resource)
        if first["metadata"]["uid"] != resource["metadata"]["uid"]:
            return rules.name_taken(first), None
        spec = msgspec.convert(resource.get("spec", {}), self.kind.spec)
        try:
            return None, await self.fabric.declare(
                self.kind.collection, key.name, rest_body(spec), f"{self.kind.name} {key.namespace}"
            )
        except ClientError as error:
            return refusal_of_declaration(error), None

    async def _first(self, key: Key, resource: Resource) -> Resource:
        if not self.kind.namespaced:
            return resource
        same = await self.cluster.list(self.place.path(), fieldSelector=f"metadata.name={key.name}")
        return rules.rightful(resource, same)

    async def told(
        self, key: Key, resource: Resource, status: dict[str, Any], refusal: Refusal | None
    ) -> float:
        """Write the status and its event; when to look again."""
        before = resource.get("status", {})
        later = await self.write_status(key, resource, status)
        if later is not None:
            return later
        if event := rules.event_of(before, status):
            reason, message, bad = event
            await self.tell(resource, reason, message, bad=bad)
        return RETRY_SECONDS if refusal and refusal.reason != "InvalidSpec" else RESYNC_SECONDS


class PolicyController(DeclaredController):
    """Reconciles ``ExecutionPolicy``."""

    kind = EXECUTION_POLICY


class QuotaController(DeclaredController):
    """Reconciles ``TenantQuota``."""

    kind = TENANT_QUOTA


class EndpointController(DeclaredController):
    """Reconciles ``ModelEndpoint``, which is switched off when it is deleted."""

    kind = MODEL_ENDPOINT

    async def reconcile(self, key: Key, resource: Resource) -> float | None:
        """Declare it, or switch it off."""
        metadata = resource["metadata"]
        finalizers = metadata.get("finalizers", [])
        if "deletionTimestamp" in metadata:
            if rules.FINALIZER in finalizers:
                await self._switch_off(key, resource)
                kept = [each for each in finalizers if each != rules.FINALIZER]
                await self.set_finalizers(key, resource, kept)
            return None
        if rules.FINALIZER not in finalizers:
            await self.set_finalizers(key, resource, [*finalizers, rules.FINALIZER])
            return 0.0
        return await super().reconcile(key, resource)

    async def _switch_off(self, key: Key, resource: Resource) -> None:
        annotations = resource["metadata"].get("annotations", {})
        if annotations.get("daef.io/force-finalize") == "true":
            await self.tell(resource, "FinalizerForced", "it may stay switched on", bad=True)
            return
        first = await self._first(key, resource)
        if first["metadata"]["uid"] != resource["metadata"]["uid"]:
            return
        # As the fabric has it: the spec may be one that was refused since, the status unwritten.
        declared = await self.fabric.declared(self.kind.collection, key.name)
        if declared is not None and declared["spec"]["enabled"]:
            spec = {**declared["spec"], "enabled": False}
            reason = f"{self.kind.name} {key.namespace}"
            await self.fabric.declare(self.kind.collection, key.name, spec, reason)
