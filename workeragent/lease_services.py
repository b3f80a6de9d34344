"""What the runner asks of the control plane under a task's lease: artifacts and log lines."""

import logging
import threading
from collections.abc import Callable

from proto.daef.v1 import worker_pb2
from workeragent.client import (
    CallError,
    ControlPlane,
    RefusedError,
    UnreachableError,
    retried,
)
from workeragent.config import Transport
from workeragent.executors.context import Task
from workeragent.outcome import PermanentError, TaskError, TransientError

TRIES = 5
"""How often an artifact's transfer is tried before the attempt fails as transient."""

logger = logging.getLogger(__name__)


class LeaseServices:
    """Artifacts and logs for all tasks of the runner; safe for its slots' threads."""

    def __init__(self, transport: Transport, worker_id: int) -> None:
        self._transport = transport
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._control_plane: ControlPlane | None = None
        self._lines: list[worker_pb2.LogLine] = []

    def read_artifact(self, task: Task, artifact: str) -> bytes:
        """Read what the lease of ``task`` allows. Raises TaskError."""
        request = worker_pb2.ReadArtifactRequest(
            worker_id=self._worker_id,
            task_id=task.id,
            lease_epoch=task.lease_epoch,
            artifact=artifact,
        )
        try:
            return retried(lambda: self._calls().read_artifact(request), *_tries())
        except CallError as error:
            raise _as_task_error(error, "artifact_unreadable") from error

    def write_artifact(self, task: Task, data: bytes, media_type: str) -> str:
        """Store bytes under the lease of ``task``; answers their hex SHA-256. Raises TaskError."""

        def write() -> str:
            head = worker_pb2.WriteArtifactRequest(
                worker_id=self._worker_id,
                task_id=task.id,
                lease_epoch=task.lease_epoch,
                media_type=media_type,
            )
            return self._calls().write_artifact(head, data)

        try:
            return retried(write, *_tries())
        except CallError as error:
            raise _as_task_error(error, "artifact_unwritable") from error

    def log(self, task: Task, text: str) -> None:
        """Queue one log line; it is sent within half a second, and before the task's outcome."""
        clean = text.encode("utf-8", "replace").decode().replace("\0", "")
        line = worker_pb2.LogLine(task_id=task.id, lease_epoch=task.lease_epoch, text=clean)
        with self._lock:
            self._lines.append(line)

    def flush(self, task_id: int | None = None) -> None:
        """Send the queued lines; with ``task_id`` only when that task has one among them."""
        if not self._lines:
            return
        with self._lock:
            if not self._concerns(task_id):
                return
            lines, self._lines = self._lines, []
        request = worker_pb2.ReportProgressRequest(worker_id=self._worker_id, lines=lines)
        try:
            self._calls().report_progress(request)
        except CallError as error:
            logger.warning("%d log lines were not taken: %s", len(lines), error.status)

    def _concerns(self, task_id: int | None) -> bool:
        return any(task_id in (None, line.task_id) for line in self._lines)

    def _calls(self) -> ControlPlane:
        with self._lock:
            if self._control_plane is None:
                self._control_plane = ControlPlane(self._transport)
            return self._control_plane


def _tries() -> tuple[Callable[[], bool], threading.Event]:
    left = iter(range(TRIES - 1))
    return lambda: next(left, None) is not None, threading.Event()


def _as_task_error(error: CallError, code: str) -> TaskError:
    if isinstance(error, RefusedError) and error.status != "RESOURCE_EXHAUSTED":
        return PermanentError(code, f"The control plane refused the artifact: {error.status}.")
    if isinstance(error, UnreachableError):
        return TransientError(code, f"The control plane did not answer: {error.status}.")
    return TransientError(code, f"The artifact could not be moved: {error.status}.")
