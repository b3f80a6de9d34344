"""``AIJob``: submits it once, tells where it is, ends it with its resource."""

import logging
from typing import Any

import msgspec

from client.errors import ClientError, Conflict
from kube.cluster import CONFIG_MAPS, NAMESPACES
from kube.controllers.base import Controller, Resource, now
from kube.documents import documents_in, work_in
from kube.metrics import SUBMISSIONS
from kube.reconcile import job as rules
from kube.reconcile.conditions import condition, read_moment
from kube.reconcile.job import Step
from kube.reconcile.refusals import NotTaken, Refusal, refusal_of_job
from kube.resources import AI_JOB, TENANT_LABEL, AIJobSpec
from kube.resources.rest import rest_body
from kube.work_queue import Key

Job = dict[str, Any]
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 30.0
CANCEL_SECONDS = 1.0

logger = logging.getLogger(__name__)


class JobController(Controller):
    """Reconciles ``AIJob``."""

    kind = AI_JOB

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._active: set[Key] = set()

    async def look(self, key: Key) -> float | None:
        """As the base; keeps count of those that have not ended."""
        again = await super().look(key)
        (self._active.discard if again is None else self._active.add)(key)
        return again

    async def reconcile(self, key: Key, resource: Resource) -> float | None:
        """Do the next step."""
        step = rules.first_step(resource, now())
        if rules.is_expired(resource, now()):
            await self.cluster.delete(self.path(key), resource["metadata"]["uid"])
            return 1.0
        if step is None or step is Step.FIND:
            return await self._with_fabric(key, resource, step)
        if step is Step.FINALIZE:
            kept = resource["metadata"].get("finalizers", [])
            await self.set_finalizers(key, resource, [*kept, rules.FINALIZER])
            return 0.0
        if step is Step.SUBMIT:
            return await self._submit(key, resource)
        if step is Step.OBSERVE:
            return rules.seconds_left(resource, now())
        if step is Step.FORCE:
            forced = f"{rules.FORCE_ANNOTATION}: {rules.job_name(resource) or 'the job'} may go on"
            await self.tell(resource, "FinalizerForced", forced, bad=True)
        await self._release(key, resource)
        return None

    async def _with_fabric(self, key: Key, resource: Resource, step: Step | None) -> float | None:
        """Follow or find the job; where nobody can tell about it, the status says why."""
        try:
            if step is Step.FIND:
                return await self._find(key, resource)
            return await self._follow(key, resource, rules.job_name(resource))
        except ClientError as error:
            refusal = refusal_of_job(error)
            if refusal.passes:
                await self._write(key, resource, rules.status_unseen(resource, refusal, now()))
            raise

    async def _release(self, key: Key, resource: Resource) -> None:
        others = [each for each in resource["metadata"]["finalizers"] if each != rules.FINALIZER]
        await self.set_finalizers(key, resource, others)

    # ── before there is a job ─────────────────────────────────────────────────────────────────────

    async def _submit(self, key: Key, resource: Resource) -> float | None:
        uid = resource["metadata"]["uid"]
        try:
            request = await self._request(key, resource)
            job: Job | None = await self.fabric.submit(request, f"kubernetes-{uid}")
            SUBMISSIONS.inc()
        except NotTaken as refused:
            return await self._refused(key, resource, refused.refusal)
        except ClientError as error:
            # The ConfigMap changed between a submission and its repetition.
            job = await self._adopted(error, uid)
            if job is None:
                return await self._refused(key, resource, refusal_of_job(error))
        assert job is not None
        return await self._observe(key, resource, job)

    async def _adopted(self, error: ClientError, uid: str) -> Job | None:
        if getattr(error, "code", "") != "idempotency_mismatch":
            return None
        return await self.fabric.job_of(uid)

    async def _request(self, key: Key, resource: Resource) -> dict[str, Any]:
        await self._check_tenant(key, resource)
        spec = msgspec.convert(resource["spec"], AIJobSpec)
        body = rest_body(spec)
        body["labels"] = {**body.get("labels", {}), **self._labels(key, resource)}
        if spec.documents_from and (reference := spec.documents_from.config_map_key_ref):
            text = await self._config_map(key, reference.name, reference.key)
            parameters = body.get("parameters", {})
            body["documents"] = documents_in(text, reference.key, parameters)
            # They were for the CSV that has just been read.
            for column in ("text_column", "id_column"):
                parameters.pop(column, None)
        for field, source in (("requests", spec.requests_from), ("tasks", spec.tasks_from)):
            if source:
                reference = source.config_map_key_ref
                text = await self._config_map(key, reference.name, reference.key)
                body[field] = work_in(text, reference.key, f"{field}From")
        return body

    def _labels(self, key: Key, resource: Resource) -> dict[str, str]:
        return {
            rules.UID_LABEL: resource["metadata"]["uid"],
            "daef.io/namespace": key.namespace,
            "daef.io/name": key.name,
        }

    async def _check_tenant(self, key: Key, resource: Resource) -> None:
        namespace = await self.cluster.find(NAMESPACES.path(name=key.namespace)) or {}
        labels = namespace.get("metadata", {}).get("labels") or {}
        works_for = labels.get(TENANT_LABEL, "default")
        asked = resource["spec"].get("tenantName", "default")
        if asked != works_for:
            raise NotTaken(
                "TenantMismatch",
                f"The namespace {key.namespace} works for the tenant {works_for}, not for {asked}: "
                f"write spec.tenantName: {works_for}, or use another namespace.",
            )

    async def _config_map(self, key: Key, name: str, entry: str) -> str:
        found = await self.cluster.find(CONFIG_MAPS.path(key.namespace, name))
        text = (found or {}).get("data", {}).get(entry)
        if text is None:
            what = f"the key {entry} of the ConfigMap" if found else "the ConfigMap"
            raise NotTaken("ReferenceNotFound", f"There is no {what} {name} (yet).")
        return str(text)

    async def _refused(self, key: Key, resource: Resource, refusal: Refusal) -> float | None:
        status = rules.status_without_job(resource, refusal, now())
        later = await self._write(key, resource, status)
        if later is not None:
            return later
        return self._retry_seconds(resource) if refusal.passes else None

    def _retry_seconds(self, resource: Resource) -> float:
        """Longer the older the resource is."""
        made = read_moment(resource["metadata"]["creationTimestamp"])
        age = (now() - made).total_seconds() / 4
        return min(max(age, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)

    async def _find(self, key: Key, resource: Resource) -> float | None:
        """It may have been submitted just before an operator died."""
        job = await self.fabric.job_of(resource["metadata"]["uid"])
        if job is not None:
            return await self._follow(key, resource, job["id"])
        if rules.is_deleted(resource):
            await self._release(key, resource)
            return None
        if not rules.is_held_back(resource):
            return await self._submit(key, resource)
        return await self._write(key, resource, rules.status_held_back(resource, now()))

    # ── while there is one ────────────────────────────────────────────────────────────────────────

    async def _follow(self, key: Key, resource: Resource, name: str) -> float | None:
        if self._is_settled(resource):
            return rules.seconds_left(resource, now())
        job = await self.fabric.job(name)
        step = rules.next_step(resource, job)
        if step in ACTIONS and job is not None:
            try:
                job = await self.fabric.act(name, ACTIONS[step])
            except Conflict as error:
                logger.info("%s: %s", key, error)
        if step is Step.RELEASE:
            await self._settled(key, resource, job)
            return None
        if job is None:
            await self._write(key, resource, rules.status_of_lost(resource, now()))
            return rules.seconds_left(resource, now())
        return await self._observe(key, resource, job)

    def _is_settled(self, resource: Resource) -> bool:
        """Whether all that will ever be told stands in the status."""
        status = resource.get("status", {})
        complete = condition(resource, "Complete").get("status") == "True"
        seen = status.get("observedGeneration") == resource["metadata"].get("generation")
        return complete and seen and not rules.is_deleted(resource)

    async def _settled(self, key: Key, resource: Resource, job: Job | None) -> None:
        if job is not None:
            told = f"{job['id']} is {job['status']}, {job['cost_usd']} USD"
            await self.tell(resource, "UsageSettled", told, bad=False)
        await self._release(key, resource)

    async def _observe(self, key: Key, resource: Resource, job: Job) -> float | None:
        failures = await self._failures(resource, job)
        moment = now()
        status = rules.status_of(resource, job, failures, moment)
        later = await self._write(key, resource, status)
        if later is not None:
            return later
        resource["status"] = status
        if rules.is_over(job) and not rules.is_deleted(resource):
            return rules.seconds_left(resource, moment)
        if rules.is_deleted(resource) or job["status"] in rules.ENDS:
            return CANCEL_SECONDS
        return rules.seconds_to_next_read(len(self._active))

    async def _failures(self, resource: Resource, job: Job) -> list[dict[str, Any]]:
        status = resource.get("status", {})
        count = job["progress"]["dead_lettered"]
        if not count:
            return []
        if count == status.get("tasks", {}).get("deadLettered") and status.get("failures"):
            return list(status["failures"])
        return [rules.failure_of(each) for each in await self.fabric.failures(job["id"])]

    async def _write(self, key: Key, resource: Resource, status: dict[str, Any]) -> float | None:
        before = resource.get("status", {})
        later = await self.write_status(key, resource, status)
        if later is None and (event := rules.event_of(before, status)):
            reason, message, bad = event
            await self.tell(resource, reason, message, bad=bad)
        return later


ACTIONS = {Step.CANCEL: "cancel", Step.SUSPEND: "suspend", Step.RESUME: "resume"}
