"""Runs executors without a control plane: tasks, artifacts and edges in memory, models real.

For tests and measurements of what executors make; leases, retries and the wire are not here.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from workeragent.executors.context import StopFlag, Task, TaskContext
from workeragent.models.client import Endpoint, EndpointSettings, ModelClient
from workeragent.outcome import Spawn, TaskError

EMBEDDED = (
    EndpointSettings(
        "embedded",
        "embedded",
        ("smollm2-135m", "minilm-l6-v2"),
        input_price=20_000,
        output_price=60_000,
    ),
)


@dataclass
class MemoryServices:
    """Artifacts by hash and log lines in memory; ``parents`` is what the next task may read."""

    artifacts: dict[str, bytes] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    parents: bytes = b""

    def read_artifact(self, task: Task, artifact: str) -> bytes:
        return self.parents if artifact == "parents" else self.artifacts[artifact]

    def write_artifact(self, task: Task, data: bytes, media_type: str) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.artifacts[name] = data
        return name

    def log(self, task: Task, text: str) -> None:
        self.lines.append(text)


@dataclass
class Ran:
    """How a task ended: its result as JSON would carry it, or its error."""

    name: str
    kind: str
    value: Any = None
    error: TaskError | None = None
    spawned: Sequence[Spawn] = ()
    models: ModelClient | None = None

    def line(self) -> dict[str, Any]:
        """The task's line in its dependents' artifact "parents"."""
        status = "DeadLettered" if self.error else "Succeeded"
        error = {"code": self.error.code, "message": self.error.message} if self.error else None
        return {
            "name": self.name,
            "kind": self.kind,
            "status": status,
            "result": self.value,
            "sha256": "",
            "error": error,
        }


class TaskRuns:
    """A place to run tasks one after the other."""

    def __init__(
        self, endpoints: Sequence[Endpoint] = EMBEDDED, *, ceiling_nano_usd: int = -1
    ) -> None:
        self.services = MemoryServices()
        self._endpoints = endpoints
        self._ceiling = ceiling_nano_usd

    def run(
        self,
        kind: str,
        input: object = None,
        *,
        parameters: dict[str, Any] | None = None,
        parents: Sequence[Ran] = (),
        name: str = "task",
        model: str = "",
    ) -> Ran:
        """Run one task; a TaskError is kept in what is returned."""
        task = Task(1 << 20 | 1, 1, name, kind, 1, 1, input, parameters or {}, model, self._ceiling)
        self.services.parents = b"\n".join(json.dumps(ran.line()).encode() for ran in parents)
        context = TaskContext(task, self.services, StopFlag(), self._models)
        try:
            result = import_module(f"workeragent.executors.{kind}").run(context)
        except TaskError as error:
            return Ran(name, kind, error=error, models=context.used_models)
        value = json.loads(json.dumps(result.value, allow_nan=False))
        return Ran(name, kind, value, None, result.spawned, context.used_models)

    def _models(self, task: Task) -> ModelClient:
        return ModelClient.for_task(self._endpoints, task.ceiling_nano_usd)


def analyse(
    runs: TaskRuns,
    documents: Sequence[dict[str, str]],
    *,
    chunk: int = 50,
    parameters: dict[str, Any] | None = None,
    finished: Callable[[Ran], None] = lambda ran: None,
) -> dict[str, Any]:
    """The report of an ``analyze`` job over the documents; ``finished`` sees every task."""

    def done(ran: Ran) -> Ran:
        finished(ran)
        return ran

    embeds = [
        done(runs.run("embed", {"documents": list(documents[at : at + chunk])}, name=f"embed-{at}"))
        for at in range(0, len(documents), chunk)
    ]
    cluster = done(runs.run("cluster", parameters=parameters, parents=embeds, name="cluster"))
    if cluster.error:
        raise cluster.error
    labels = [
        done(runs.run(each.kind, each.input, name=each.name, model=each.model))
        for each in cluster.spawned
    ]
    report = done(runs.run("report", parents=[cluster, *labels], name="report"))
    if report.error:
        raise report.error
    return report.value
