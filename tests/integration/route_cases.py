"""One case for each route of the API: an object of alpha's to try it on, and what it then answers.

A new route needs a case here; `tests/integration/test_access_matrix.py` asks it of every caller.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from jobs.models import Artifact, ArtifactChunk, Task
from jobs.states import job_name
from tests.integration.burials import buried
from tests.integration.gateway import pipeline
from tests.integration.routes import World
from tests.integration.scenario import register, tenant

MISSING = {
    "job": "job-999999",
    "task": "job-999999-1",
    "file": "file-" + "0" * 32,
    "name": "no-such-policy",
}
"""What is there for no caller, in the spelling of what is."""


@dataclass(frozen=True)
class Case:
    """What a route answers to those who may: ``status``, on the parts that ``make`` returns.

    ``owned`` says that the parts name something of alpha's; ``kind`` is the body's content type.
    """

    status: int
    make: Callable[[World], dict[str, str]] = lambda world: {}
    body: Any = b""
    kind: str = "application/json"
    owned: bool = False

    def content(self) -> bytes:
        """The body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def job(world: World) -> dict[str, str]:
    """An open job with its first task."""
    made = world.gateway("owner").submit(**pipeline("a"))
    return {"job": made["id"], "task": made["id"] + "-1"}


def after(verb: str) -> Callable[[World], dict[str, str]]:
    """A job that this was done to."""

    def make(world: World) -> dict[str, str]:
        parts = job(world)
        answer = world.gateway("owner").post(f"/v1/jobs/{parts['job']}/{verb}")
        assert answer.status_code == 200
        return parts

    return make


def failed_job(world: World) -> dict[str, str]:
    """A job whose one task is a dead letter."""
    name = job_name(buried(owner="alpha").pk)
    return {"job": name, "task": name + "-1"}


def artifact(world: World) -> dict[str, str]:
    """A task whose result is a blob."""
    parts, hand = job(world), register()
    hand.succeed(hand.claim(16))
    task = Task.objects.latest("id")
    blob = {"tenant_id": task.tenant_id, "sha256": "ab" * 32}
    Artifact.objects.get_or_create(
        **blob,
        defaults={"size_bytes": 1, "media_type": "text/plain", "created_at": timezone.now()},
    )
    ArtifactChunk.objects.get_or_create(**blob, number=0, defaults={"data": b"x"})
    Task.objects.filter(pk=task.pk).update(result=None, result_sha256=blob["sha256"])
    return parts


def file(world: World) -> dict[str, str]:
    """An uploaded file."""
    answer = world.gateway("owner").post("/v1/files", b"text\nhi\n", content_type="text/csv")
    return {"file": answer.json()["id"]}


def policy(world: World) -> dict[str, str]:
    """A policy, which all tenants see."""
    return {"name": "enterprise-default"}


def worker(world: World) -> dict[str, str]:
    """An agent that has joined."""
    return {"worker": str(register().worker.pk)}


def endpoint(world: World) -> dict[str, str]:
    """An endpoint that every fabric has."""
    return {"name": "embedded-chat"}


def pool(world: World) -> dict[str, str]:
    """The pool that every fabric has."""
    return {"name": "default"}


def some_tenant(world: World) -> dict[str, str]:
    """A tenant that is there."""
    return {"name": tenant("gamma").name}


DECLARED: dict[str, tuple[Callable[[World], dict[str, str]], dict[str, Any]]] = {
    "policies": (policy, {}),
    "endpoints": (endpoint, {"backend": "embedded", "model_names": ["smollm2-135m"]}),
    "tenants": (some_tenant, {}),
    "pools": (pool, {}),
}

TRY_OUT = {"tasks": ["job-999999-1"], "dry_run": True}

CASES = {
    "GET v1/jobs": Case(200),
    "POST v1/jobs": Case(201, body=pipeline("a")),
    "GET v1/jobs/<str:job>": Case(200, job, owned=True),
    "DELETE v1/jobs/<str:job>": Case(200, job, owned=True),
    "GET v1/jobs/<str:job>/tasks": Case(200, job, owned=True),
    "GET v1/jobs/<str:job>/tasks/<str:task>": Case(200, job, owned=True),
    "GET v1/jobs/<str:job>/tasks/<str:task>/artifact": Case(200, artifact, owned=True),
    "GET v1/jobs/<str:job>/report": Case(200, job, owned=True),
    "GET v1/jobs/<str:job>/results": Case(200, job, owned=True),
    "GET v1/jobs/<str:job>/events": Case(200, after("cancel"), owned=True),
    "GET v1/jobs/<str:job>/explain": Case(200, job, owned=True),
    "POST v1/jobs/<str:job>/cancel": Case(200, job, owned=True),
    "POST v1/jobs/<str:job>/suspend": Case(200, job, owned=True),
    "POST v1/jobs/<str:job>/resume": Case(200, after("suspend"), owned=True),
    "POST v1/jobs/<str:job>/retry": Case(200, failed_job, owned=True),
    "GET v1/files": Case(200),
    "POST v1/files": Case(201, body=b"text\nhi\n", kind="text/csv"),
    "GET v1/files/<str:file>": Case(200, file, owned=True),
    "DELETE v1/files/<str:file>": Case(204, file, owned=True),
    "GET v1/files/<str:file>/content": Case(200, file, owned=True),
    "GET v1/policies": Case(200),
    "GET v1/policies/<str:name>": Case(200, policy),
    "GET v1/metrics": Case(200),
    "GET v1/metrics/prometheus": Case(200),
    "GET v1/admin/queue/dead-letter": Case(200),
    "POST v1/admin/queue/dead-letter": Case(200, body=TRY_OUT),
    "GET v1/admin/audit": Case(200),
    "GET v1/admin/audit/status": Case(200),
    "GET v1/admin/workers": Case(200),
    "POST v1/admin/workers/<str:worker>/drain": Case(200, worker),
    **{f"GET v1/admin/{kind}": Case(200) for kind in DECLARED},
    **{f"GET v1/admin/{kind}/<str:name>": Case(200, of) for kind, (of, _) in DECLARED.items()},
    **{
        f"PUT v1/admin/{kind}/<str:name>": Case(200, of, body={"spec": spec})
        for kind, (of, spec) in DECLARED.items()
    },
    "GET v1/openapi.json": Case(200),
    "GET v1/docs": Case(200),
    "GET v1/": Case(404),
}
