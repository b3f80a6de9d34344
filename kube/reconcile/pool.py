"""``AIWorkerPool``: its status."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kube.reconcile.conditions import Holds, conditions, written
from kube.reconcile.deployment import selector
from kube.reconcile.refusals import Refusal

Object = dict[str, Any]


@dataclass(frozen=True)
class Observed:
    """What was seen of a pool; ``limited`` is a reason of ScalingLimited."""

    deployment: Object | None
    draining_pods: int
    workers: list[Object]
    waiting_tasks: int
    refusal: Refusal | None
    limited: Refusal
    scaled_at: datetime | None


def status_of(resource: Object, seen: Observed, now: datetime) -> Object:
    """The status of the pool."""
    found = seen.deployment or {}
    counts = found.get("status", {})
    before = resource.get("status", {})
    generation = resource["metadata"].get("generation", 0)
    living = [each for each in seen.workers if each["state"] in ("Active", "Draining")]
    draining = sum(each["state"] == "Draining" for each in living)
    scaled = written(seen.scaled_at) if seen.scaled_at else before.get("lastScaleTime")
    status = {
        "observedGeneration": generation,
        "replicas": counts.get("replicas", 0),
        "readyReplicas": counts.get("readyReplicas", 0),
        "drainingReplicas": max(draining, seen.draining_pods),
        "slots": sum(each["slots"] for each in living),
        "busySlots": sum(each["busy"] for each in living),
        "queuedTasks": seen.waiting_tasks,
        "selector": selector(resource["metadata"]["name"]),
        **({"lastScaleTime": scaled} if scaled else {}),
    }
    holds = [_ready(resource, seen), _progressing(found), _limited(seen.limited)]
    made = conditions(before.get("conditions", ()), holds, generation, written(now))
    return {**status, "conditions": made}


def _ready(resource: Object, seen: Observed) -> Holds:
    if seen.refusal is not None:
        return Holds("Ready", False, seen.refusal.reason, seen.refusal.message)
    asked = resource["spec"].get("replicas", 1)
    ready = (seen.deployment or {}).get("status", {}).get("readyReplicas", 0)
    if ready < asked:
        return Holds("Ready", False, "AgentsMissing", f"{ready} of {asked} agents are ready.")
    return Holds("Ready", True, "AgentsReady", f"{ready} agents are ready.")


def _progressing(deployment: Object) -> Holds:
    status, spec = deployment.get("status", {}), deployment.get("spec", {})
    told = {each["type"]: each for each in status.get("conditions", ())}
    if told.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return Holds("Progressing", False, "DeadlineExceeded", told["Progressing"]["message"])
    asked = spec.get("replicas", 0)
    current = status.get("observedGeneration") == deployment.get("metadata", {}).get("generation")
    done = status.get("updatedReplicas", 0) == status.get("replicas", 0) == asked
    if current and done:
        return Holds("Progressing", False, "RolledOut")
    return Holds("Progressing", True, "RollingOut")


def _limited(limited: Refusal) -> Holds:
    bounded = limited.reason in ("TooFewReplicas", "TooManyReplicas")
    known = limited.reason != "FabricUnavailable"
    return Holds("ScalingLimited", bounded if known else None, limited.reason, limited.message)


def event_of(before: Object, after: Object) -> tuple[str, str, bool] | None:
    """A change of the pool's readiness, as an event: reason, message, whether it is bad."""
    old, new = (
        {each["type"]: each for each in status.get("conditions", ())} for status in (before, after)
    )
    if old.get("Ready", {}).get("reason") == new["Ready"]["reason"]:
        return None
    bad = new["Ready"]["status"] != "True" and new["Ready"]["reason"] != "AgentsMissing"
    return (new["Ready"]["reason"], new["Ready"]["message"], bad)
