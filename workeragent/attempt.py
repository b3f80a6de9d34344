"""One attempt in the runner: from a claimed task to the outcome that will be settled."""

import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from faultpoints import reach
from proto.daef.v1 import worker_pb2
from workeragent.executors import load
from workeragent.executors.context import Services, StopFlag, Task, TaskContext
from workeragent.outcome import (
    InvalidInputError,
    PermanentError,
    Result,
    Spawn,
    TaskCancelled,
    TaskError,
    TransientError,
    UsageEntry,
)

if TYPE_CHECKING:
    from workeragent.models.client import ModelClient

INLINE_BYTES = 64 * 1024
"""Largest result that travels inline; `Outcome.result` has the same limit."""

RESULT_BYTES = 256 * 2**20
"""Largest result at all; the control plane takes no larger artifact."""

MESSAGE_CHARACTERS = 500
"""Longest error message sent; it is for people, and never a payload."""

ERROR_CLASSES: dict[str, "worker_pb2.ErrorClass"] = {
    "transient": worker_pb2.ERROR_CLASS_TRANSIENT,
    "rate_limited": worker_pb2.ERROR_CLASS_RATE_LIMITED,
    "overloaded": worker_pb2.ERROR_CLASS_OVERLOADED,
    "invalid_input": worker_pb2.ERROR_CLASS_INVALID_INPUT,
    "permanent": worker_pb2.ERROR_CLASS_PERMANENT,
    "budget_exceeded": worker_pb2.ERROR_CLASS_BUDGET_EXCEEDED,
    "timeout": worker_pb2.ERROR_CLASS_TIMEOUT,
}

NO_PARAMETERS = ("", "{}")

logger = logging.getLogger(__name__)

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def run(
    claimed: worker_pb2.ClaimedTask,
    services: Services,
    stopped: StopFlag,
    make_models: "Callable[[Task], ModelClient]",
) -> worker_pb2.Outcome:
    """Run the task's executor. Never raises; unspecified kind means that it was stopped."""
    outcome = interrupted(claimed)
    _note_start(outcome.started_at)
    context = None
    try:
        context = _context(claimed, services, stopped, make_models)
        reach("worker.during_exec")
        _succeed(outcome, context, load(claimed.kind)(context))
    except TaskCancelled:
        if not stopped.is_set():
            _fail(outcome, PermanentError("executor_error", "TaskCancelled without a cancel."))
    except BaseException as error:
        _fail(outcome, _as_task_error(error, claimed))
    if context is not None and context.used_models is not None:
        outcome.usage.extend(map(_usage, context.used_models.usage))
    return outcome


def interrupted(claimed: worker_pb2.ClaimedTask) -> worker_pb2.Outcome:
    """The outcome of a task that did not run to its end; the agent knows why."""
    return worker_pb2.Outcome(task_id=claimed.task_id, lease_epoch=claimed.lease_epoch)


def _context(
    claimed: worker_pb2.ClaimedTask,
    services: Services,
    stopped: StopFlag,
    make_models: "Callable[[Task], ModelClient]",
) -> TaskContext:
    parameters = _parameters(claimed.parameters)
    if not isinstance(parameters, dict):
        raise InvalidInputError("parameters_invalid", "The parameters must be a JSON object.")
    task = Task(
        id=claimed.task_id,
        lease_epoch=claimed.lease_epoch,
        name=claimed.name,
        kind=claimed.kind,
        attempt=claimed.attempt,
        generation=claimed.generation,
        input=None if claimed.has_large_input else _parsed(claimed.input, "input_invalid"),
        parameters=parameters,
        model=claimed.model,
        ceiling_nano_usd=claimed.ceiling_nano_usd,
    )
    if claimed.has_large_input:
        large = _parsed(services.read_artifact(task, "input"), "input_invalid")
        task = task._replace(input=large)
    return TaskContext(task, services, stopped, make_models, has_parents=claimed.has_parents)


def _parameters(text: str) -> Any:
    return {} if text in NO_PARAMETERS else _parsed(text, "parameters_invalid")


def _parsed(text: str | bytes, code: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(code, "The text is not valid JSON.") from error


def _succeed(outcome: worker_pb2.Outcome, context: TaskContext, result: Result) -> None:
    text = _text(result.value)
    data = text.encode()
    spawned = [_spawned(spawn) for spawn in result.spawned]
    if len(data) > RESULT_BYTES:
        raise PermanentError("result_too_large", f"The result is larger than {RESULT_BYTES} bytes.")
    if len(data) > INLINE_BYTES:
        outcome.result_sha256 = context.write_artifact(data, "application/json")
    else:
        outcome.result = text
    outcome.spawned.extend(spawned)
    outcome.kind = worker_pb2.OUTCOME_KIND_SUCCEEDED


def _fail(outcome: worker_pb2.Outcome, error: TaskError) -> None:
    outcome.kind = worker_pb2.OUTCOME_KIND_FAILED
    outcome.error_class = ERROR_CLASSES[error.error_class]
    outcome.error_code = error.code
    message = error.message[:MESSAGE_CHARACTERS]
    outcome.error_message = message.encode("utf-8", "replace").decode().replace("\0", "")
    outcome.retry_after_seconds = max(0.0, error.retry_after_seconds)


def _as_task_error(error: BaseException, claimed: worker_pb2.ClaimedTask) -> TaskError:
    if isinstance(error, TaskError):
        return error
    # The type's name only: what an exception says may quote the task's payload.
    name = type(error).__name__
    logger.warning("task %s (%s) raised %s", claimed.task_id, claimed.kind, name)
    passing = isinstance(error, MemoryError | OSError)
    failure = TransientError if passing else PermanentError
    return failure("executor_error", f"The executor raised {name}.")


def _text(value: object) -> str:
    try:
        text = _encode(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PermanentError("result_invalid", "The result is not JSON.") from error
    return text


def _spawned(spawn: Spawn) -> worker_pb2.SpawnedTask:
    return worker_pb2.SpawnedTask(
        name=spawn.name,
        kind=spawn.kind,
        input=_text(spawn.input),
        parameters=_text(spawn.parameters),
        model=spawn.model,
    )


def _usage(entry: UsageEntry) -> worker_pb2.Usage:
    return worker_pb2.Usage(
        call=entry.call,
        endpoint=entry.endpoint,
        model=entry.model,
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        cost_nano_usd=entry.cost_nano_usd,
    )


def _note_start(started_at: Timestamp) -> None:
    started_at.seconds, started_at.nanos = divmod(time.time_ns(), 1_000_000_000)
