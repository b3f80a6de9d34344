"""What the fabric holds under the resource's own name: endpoints, policies, tenants, pools."""

from datetime import datetime
from typing import Any

from kube.reconcile.conditions import Holds, condition, conditions, written
from kube.reconcile.refusals import Refusal

FINALIZER = "daef.io/endpoint-cleanup"
"""On a ``ModelEndpoint``: it is switched off in the fabric before it goes."""

Resource = dict[str, Any]


def rightful(resource: Resource, others: list[Resource]) -> Resource:
    """Which of the resources of one name, in several namespaces, declares it: the oldest.

    One that is being deleted keeps the name until it is switched off: otherwise it would switch off
    what its heir has declared meanwhile.
    """
    return min([*filter(_has_a_say, others), resource], key=_age)


def _has_a_say(resource: Resource) -> bool:
    metadata = resource["metadata"]
    return "deletionTimestamp" not in metadata or FINALIZER in metadata.get("finalizers", ())


def _age(resource: Resource) -> tuple[str, str, str]:
    metadata = resource["metadata"]
    return metadata["creationTimestamp"], metadata.get("namespace", ""), metadata["uid"]


def name_taken(first: Resource) -> Refusal:
    """That an older resource has the name."""
    namespace = first["metadata"].get("namespace", "")
    return Refusal(
        "NameTaken",
        f"The {first['kind']} {namespace}/{first['metadata']['name']} declared it first: choose "
        "another name, or delete that one.",
    )


def status_of(
    resource: Resource, refusal: Refusal | None, answer: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """The status after it was declared, or refused."""
    generation = resource["metadata"].get("generation", 0)
    before = resource.get("status", {})
    made = conditions(
        before.get("conditions", ()), [_ready(resource, refusal)], generation, written(now)
    )
    revision = (answer or {}).get("revision", before.get("revision"))
    kept = {} if revision is None else {"revision": revision}
    return {"observedGeneration": generation, **kept, "conditions": made}


def _ready(resource: Resource, refusal: Refusal | None) -> Holds:
    if refusal is not None:
        return Holds("Ready", False, refusal.reason, refusal.message)
    if resource.get("spec", {}).get("enabled") is False:
        return Holds("Ready", False, "Disabled", "spec.enabled is false.")
    return Holds("Ready", True, "Declared")


def event_of(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, str, bool] | None:
    """The one thing worth an event between two statuses: reason, message, whether it is bad."""
    old = condition({"status": before}, "Ready")
    new = condition({"status": after}, "Ready")
    if old.get("reason") == new["reason"] and before.get("revision") == after.get("revision"):
        return None
    revision = f"revision {after['revision']}" if "revision" in after else ""
    return (new["reason"], new.get("message") or revision or "as the spec says", _is_bad(new))


def _is_bad(ready: dict[str, Any]) -> bool:
    return ready["status"] != "True" and ready["reason"] != "Disabled"
