"""All an executor sees of the fabric: its task, its parents' results, artifacts, models, a log.

An executor is a module with ``def run(context: TaskContext) -> Result``. It knows nothing of
gRPC, leases or threads; ``TaskContext`` hides them behind the small ``Services`` protocol.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workeragent.outcome import PermanentError, TaskCancelled

if TYPE_CHECKING:
    from workeragent.models.client import ModelClient

LOG_LINE_CHARACTERS = 500
"""Longest log line; `LogLine` in worker.proto names the same limit."""

LOG_LINES = 100
"""Most log lines an attempt may write; `LogLine` in worker.proto names the same limit."""


class Task(NamedTuple):
    """One claimed task. ``input`` is parsed JSON, ``ceiling_nano_usd`` is -1 without a ceiling."""

    id: int
    lease_epoch: int
    name: str
    kind: str
    attempt: int
    generation: int
    input: Any
    parameters: dict[str, Any]
    model: str
    ceiling_nano_usd: int


@dataclass(frozen=True)
class ParentResult:
    """How a parent ended, and its result.

    ``value`` is None when ``sha256`` is set: call ``TaskContext.parent_value``. ``error`` is
    None for a parent that succeeded.
    """

    name: str
    kind: str
    status: str
    value: Any
    sha256: str
    error: dict[str, Any] | None


class Services(Protocol):
    """What the runner does for a task; ``artifact`` is "input", "parents" or a hex SHA-256."""

    def read_artifact(self, task: Task, artifact: str) -> bytes:
        """Read what a running task may read. Raises TaskError when it cannot be read."""
        ...

    def write_artifact(self, task: Task, data: bytes, media_type: str) -> str:
        """Store bytes under the task's lease and return their hex SHA-256."""
        ...

    def log(self, task: Task, text: str) -> None:
        """Queue one log line for the task's page."""
        ...


class StopFlag:
    """Set once when a task is to stop. A bare bool in an object: threads only ever set it."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Ask the task to stop."""
        self._set = True

    def is_set(self) -> bool:
        """Whether the task was asked to stop."""
        return self._set


class TaskContext:
    """What ``run`` of an executor gets. One per attempt, used from one thread."""

    def __init__(
        self,
        task: Task,
        services: Services,
        stopped: StopFlag,
        make_models: "Callable[[Task], ModelClient]",
        *,
        has_parents: bool = True,
    ) -> None:
        self.task = task
        self._services = services
        self._stopped = stopped
        self._make_models = make_models
        self._has_parents = has_parents
        self._models: ModelClient | None = None
        self._lines = 0

    @property
    def models(self) -> "ModelClient":
        """The model client of this attempt; it keeps the cost ceiling and records usage."""
        if self._models is None:
            self._models = self._make_models(self.task)
        return self._models

    @property
    def used_models(self) -> "ModelClient | None":
        """The model client if the executor asked for it, for reporting usage."""
        return self._models

    def parents(self) -> Iterator[ParentResult]:
        """The results of this task's parents in task order; nothing when it has none."""
        if not self._has_parents:
            return
        for line in self._services.read_artifact(self.task, "parents").splitlines():
            if line:
                yield _parent(line)

    def parent_value(self, parent: ParentResult) -> Any:
        """The parent's result, read from its artifact and parsed when it was stored as one."""
        if not parent.sha256:
            return parent.value
        return _parsed(self.read_artifact(parent.sha256), "parent_invalid")

    def read_artifact(self, sha256: str) -> bytes:
        """The bytes of a stored artifact. Raises TaskError when they cannot be read."""
        self.check()
        return self._services.read_artifact(self.task, sha256)

    def write_artifact(self, data: bytes, media_type: str) -> str:
        """Store bytes as an artifact of the task's tenant and return their hex SHA-256."""
        self.check()
        return self._services.write_artifact(self.task, data, media_type)

    def log(self, text: str) -> None:
        """Add one line to the task's page: 500 characters, 100 lines; more is cut and dropped."""
        if self._lines < LOG_LINES:
            self._lines += 1
            self._services.log(self.task, text[:LOG_LINE_CHARACTERS])

    def check(self) -> None:
        """Raise TaskCancelled when the task was cancelled or timed out; call between steps."""
        if self._stopped.is_set():
            raise TaskCancelled

    @property
    def stopped(self) -> bool:
        """Whether the task was told to stop, for code that cannot raise where it stands."""
        return self._stopped.is_set()


def _parent(line: bytes) -> ParentResult:
    record = _parsed(line, "parent_invalid")
    return ParentResult(
        name=str(record.get("name", "")),
        kind=str(record.get("kind", "")),
        status=str(record.get("status", "")),
        value=record.get("result"),
        sha256=record.get("sha256") or "",
        error=record.get("error"),
    )


def _parsed(data: bytes, code: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise PermanentError(code, "A parent's result is not valid JSON.") from error
