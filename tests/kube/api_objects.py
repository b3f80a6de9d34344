"""Objects as a Kubernetes API keeps them: versions, generations, finalizers, owners."""

import time
import uuid
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.kube.admission import Resource, load

Object = dict[str, Any]


@dataclass(frozen=True)
class Sort:
    """A sort of objects: where it is, and how it behaves."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    ours: Resource | None = None
    has_status: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


BUILT_IN = (
    Sort("", "v1", "namespaces", "Namespace", namespaced=False, has_status=True),
    Sort("", "v1", "configmaps", "ConfigMap"),
    Sort("", "v1", "pods", "Pod", has_status=True),
    Sort("", "v1", "events", "Event"),
    Sort("apps", "v1", "deployments", "Deployment", has_status=True),
    Sort("coordination.k8s.io", "v1", "leases", "Lease"),
)


def sorts() -> dict[tuple[str, str], Sort]:
    """Every sort by its group and plural."""
    ours = [
        Sort(each.group, "v1alpha1", each.plural, each.kind, each.namespaced, each, has_status=True)
        for each in load().values()
    ]
    return {(each.group, each.plural): each for each in (*BUILT_IN, *ours)}


class Refusal(Exception):
    """The request is answered by an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason

    def document(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.status,
        }


@dataclass
class Faults:
    """What goes wrong: each is a number of times still to come."""

    conflicts: int = 0
    """Writes of our kinds that are answered with 409."""

    expired_watches: int = 0
    """Watches that begin with 410."""

    forbidden: str = ""
    """A namespace whose pods and Deployments are answered with 403."""

    unavailable: int = 0
    """Requests that are answered with 503."""

    repeat_events: bool = False
    """Each event comes twice, and once more in its former state."""

    after_create: Callable[[Object], None] | None = None
    """Called with each made Deployment before it is answered."""

    before_status: Callable[[Object], None] | None = None
    """Called with what a status of ours is written to; nothing is written, the answer is a 503."""


Name = tuple[str, str, str, str]
"""Group, plural, namespace, name."""


@dataclass
class Store:
    """All objects, and the events of what happened to them."""

    objects: dict[Name, Object] = field(default_factory=dict)
    version: int = 100
    events: list[tuple[int, Name, str, Object]] = field(default_factory=list)
    former: dict[Name, Object] = field(default_factory=dict)

    def put(self, name: Name, value: Object, kind: str) -> Object:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = value
        self.events.append((self.version, name, kind, deepcopy(value)))
        return value

    def chosen(self, sort: Sort, namespace: str, query: Any) -> list[Object]:
        return [
            value
            for name, value in self.objects.items()
            if name[:2] == (sort.group, sort.plural)
            and namespace in ("", name[2])
            and selected(value, query)
        ]


def selected(value: Object, query: Any) -> bool:
    """Whether label and field selectors choose the object."""
    labels = value["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, equals, wanted = term.partition("=")
        if (name not in labels) if not equals else (labels.get(name) != wanted.lstrip("=")):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, wanted = term.partition("=")
        found: Any = value
        for part in path.split("."):
            found = (found or {}).get(part)
        if str(found or "") != wanted.lstrip("="):
            return False
    return True


class Objects:
    """All objects, and what a Kubernetes API does with them; knows nothing of HTTP."""

    def __init__(self) -> None:
        self.sorts = sorts()
        self.store = Store()
        self.faults = Faults()
        self.status_writes: list[tuple[float, str, Object]] = []
        for name in ("default", "kube-system"):
            self.make_namespace(name)

    def make_namespace(self, name: str, labels: dict[str, str] | None = None) -> None:
        sort = self.sorts["", "namespaces"]
        self.create(sort, "", {"metadata": {"name": name, "labels": labels or {}}})

    def create(self, sort: Sort, namespace: str, body: Object) -> Object:
        metadata = {**body.get("metadata", {})}
        if sort.namespaced and not any(
            name[3] == namespace and name[1] == "namespaces" for name in self.store.objects
        ):
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        name = (sort.group, sort.plural, namespace, metadata["name"])
        if name in self.store.objects:
            raise Refusal(409, "AlreadyExists", f'{sort.plural} "{name[3]}" already exists')
        value = {**body, "apiVersion": sort.api_version, "kind": sort.kind, "metadata": metadata}
        if sort.has_status:
            value.pop("status", None)
        if sort.ours:
            value = sort.ours.admit(value)
        value["metadata"] = {
            **metadata,
            **({"namespace": namespace} if namespace else {}),
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        made = deepcopy(self.store.put(name, value, "ADDED"))
        if sort.kind == "Deployment" and self.faults.after_create:
            self.faults.after_create(made)
        return made

    def update(self, sort: Sort, name: Name, found: Object, body: Object, part: str) -> Object:
        given = body.get("metadata", {})
        if (version := given.get("resourceVersion")) and version != found["metadata"][
            "resourceVersion"
        ]:
            raise Refusal(
                409, "Conflict", f'Operation cannot be fulfilled on "{name[3]}": it was modified'
            )
        if part == "status" and self.faults.before_status:
            self.faults.before_status(found)
            raise Refusal(503, "ServiceUnavailable", "not now (on purpose)")
        if part == "status":
            changed = {**found, "status": body.get("status", {})}
            self.status_writes.append((time.monotonic(), name[3], changed["status"]))
        else:
            kept = {"status": found["status"]} if sort.has_status and "status" in found else {}
            changed = {**{k: v for k, v in body.items() if k != "status" or not sort.has_status}}
            changed |= kept
        changed["metadata"] = self._metadata(found, given, part)
        if sort.ours:
            changed = sort.ours.admit(changed, found)
        changed["metadata"]["generation"] = found["metadata"]["generation"] + (
            changed.get("spec") != found.get("spec")
        )
        changed |= {"apiVersion": sort.api_version, "kind": sort.kind}
        if _same(changed, found):
            return deepcopy(found)
        if self._is_released(changed["metadata"]):
            return self._gone(name, changed)
        return deepcopy(self.store.put(name, deepcopy(changed), "MODIFIED"))

    def _metadata(self, found: Object, given: Object, part: str) -> Object:
        """What a writer may change of it; the rest is the server's own."""
        if part:
            return deepcopy(found["metadata"])
        own = ("uid", "creationTimestamp", "deletionTimestamp", "namespace", "name", "generation")
        kept = {name: found["metadata"][name] for name in own if name in found["metadata"]}
        return {**{k: v for k, v in given.items() if k not in own}, **kept}

    def _is_released(self, metadata: Object) -> bool:
        return "deletionTimestamp" in metadata and not metadata.get("finalizers")

    def delete(self, name: Name, found: Object, body: Object) -> Object:
        wanted = (body or {}).get("preconditions", {}).get("uid")
        if wanted and wanted != found["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "the object is another one")
        if not found["metadata"].get("finalizers"):
            return self._gone(name, found)
        if "deletionTimestamp" in found["metadata"]:
            return deepcopy(found)
        value = deepcopy(found)
        value["metadata"]["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        value["metadata"]["generation"] += 1
        return deepcopy(self.store.put(name, value, "MODIFIED"))

    def _gone(self, name: Name, value: Object) -> Object:
        """Take it out, and what it owns."""
        self.store.put(name, deepcopy(value), "DELETED")
        uid = value["metadata"]["uid"]
        for other, child in list(self.store.objects.items()):
            owners = child["metadata"].get("ownerReferences", ())
            if any(owner["uid"] == uid for owner in owners):
                self.delete(other, child, {})
        return deepcopy(value)

    def scale(self, found: Object) -> Object:
        status = found.get("status", {})
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                name: found["metadata"][name] for name in ("name", "namespace", "resourceVersion")
            },
            "spec": {"replicas": found["spec"]["replicas"]},
            "status": {
                "replicas": status.get("replicas", 0),
                "selector": status.get("selector", ""),
            },
        }


def merge(value: Any, change: Any) -> Any:
    """RFC 7396."""
    if not isinstance(change, dict):
        return change
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in change.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), part)
    return merged


def _same(one: Object, other: Object) -> bool:
    def bare(value: Object) -> Object:
        rest = {k: v for k, v in value["metadata"].items() if k != "resourceVersion"}
        return {**value, "metadata": rest}

    return bare(one) == bare(other)
