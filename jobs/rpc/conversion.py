"""Between the protocol's messages and the actions' plain values."""

from collections.abc import Sequence

from jobs.actions.settle import MAX_MESSAGE, Answer, Report, ReportKind, SettleStatus
from jobs.actions.spawning import SpawnOrder
from jobs.models import ModelEndpoint
from jobs.transitions.claiming import ClaimedRow
from jobs.transitions.settling import UsageRow
from proto.daef.v1 import worker_pb2

KINDS = {
    worker_pb2.OUTCOME_KIND_SUCCEEDED: ReportKind.SUCCEEDED,
    worker_pb2.OUTCOME_KIND_FAILED: ReportKind.FAILED,
    worker_pb2.OUTCOME_KIND_RELEASED: ReportKind.RELEASED,
}

ERROR_CLASSES = {
    number: name.removeprefix("ERROR_CLASS_").lower()
    for name, number in worker_pb2.ErrorClass.items()
    if number
}
"""Names as ``jobs.policies.retry`` has them; an agent that names none has failed for good."""

STATUSES = {
    SettleStatus.APPLIED: worker_pb2.SETTLE_STATUS_APPLIED,
    SettleStatus.REPEATED: worker_pb2.SETTLE_STATUS_REPEATED,
    SettleStatus.FENCED: worker_pb2.SETTLE_STATUS_FENCED,
    SettleStatus.REJECTED: worker_pb2.SETTLE_STATUS_REJECTED,
    SettleStatus.BUSY: worker_pb2.SETTLE_STATUS_BUSY,
}

INLINE_INPUT_BYTES = 64 * 1024
ANSWER_INPUT_BYTES = 2 * 2**20
"""Inputs in one answer stay below gRPC's usual 4 MiB; what does not fit is read as an artifact."""

ANSWER_BYTES = 6 * 2**20
"""What the tasks of one answer may come to; parameters travel with them whatever their size."""

MAX_USAGE = 1_000
MOST_TOKENS = 10**9
"""Tokens of one call. No model reads as many, and the sums of them fit into 64 bits."""

MOST_NANO_USD = 10**12
"""What one call may cost: 1,000 USD. The attempts of a job cannot add up to more than 64 bits."""


NAMELESS = {ReportKind.FAILED: "unknown", ReportKind.RELEASED: ""}
"""The code of an outcome that names none: a task that was given back has not failed."""


def report_of(outcome: worker_pb2.Outcome) -> Report:
    """An outcome as the settle action takes it."""
    kind = KINDS.get(outcome.kind, ReportKind.FAILED)
    succeeded = kind == ReportKind.SUCCEEDED
    sha256 = outcome.result_sha256
    result_sha256 = _text(sha256) if sha256 else None
    if succeeded and not (outcome.usage or outcome.spawned):
        return Report(
            outcome.task_id, outcome.lease_epoch, kind, outcome.result or None, result_sha256
        )
    return Report(
        task_id=outcome.task_id,
        epoch=outcome.lease_epoch,
        kind=kind,
        result=outcome.result or None,
        result_sha256=result_sha256,
        error_class="" if succeeded else ERROR_CLASSES.get(outcome.error_class, "permanent"),
        error_code="" if succeeded else _text(outcome.error_code) or NAMELESS[kind],
        error_message="" if succeeded else _text(outcome.error_message)[:MAX_MESSAGE],
        retry_after_seconds=min(max(outcome.retry_after_seconds, 0.0), 86_400.0),
        usage=_usage(outcome),
        spawned=tuple(
            SpawnOrder(
                task.name, task.kind, task.input or "null", task.parameters or "{}", task.model
            )
            for task in outcome.spawned
        ),
    )


def _text(text: str) -> str:
    """Postgres refuses NUL in text; everything else may be shown."""
    return text.replace("\x00", "�")


def _usage(outcome: worker_pb2.Outcome) -> tuple[UsageRow, ...]:
    """The attempt's calls, each number once: the ledger would drop the second, sums would not."""
    rows: dict[int, UsageRow] = {}
    for entry in outcome.usage[:MAX_USAGE]:
        rows.setdefault(entry.call, _call(outcome, entry))
    return tuple(rows.values())


def _call(outcome: worker_pb2.Outcome, entry: worker_pb2.Usage) -> UsageRow:
    return UsageRow(
        outcome.task_id,
        outcome.lease_epoch,
        entry.call,
        _text(entry.endpoint)[:63],
        _text(entry.model)[:200],
        _count(entry.input_tokens, MOST_TOKENS),
        _count(entry.output_tokens, MOST_TOKENS),
        _count(entry.cost_nano_usd, MOST_NANO_USD),
        False,
    )


def _count(value: int, most: int) -> int:
    """A worker's numbers are input like any other."""
    return min(max(value, 0), most)


def claimed_tasks(rows: Sequence[ClaimedRow]) -> list[worker_pb2.ClaimedTask]:
    """Claimed tasks as messages, as many of the first as fit into one answer, at least one.

    Large inputs are left for the agent to read.
    """
    room, left = ANSWER_INPUT_BYTES, ANSWER_BYTES
    tasks: list[worker_pb2.ClaimedTask] = []
    for row in rows:
        size = len(row.input.encode())
        inline = size <= min(room, INLINE_INPUT_BYTES)
        task = _claimed_task(row, inline=inline)
        left -= task.ByteSize()
        if tasks and left < 0:
            break
        room -= size if inline else 0
        tasks.append(task)
    return tasks


def _claimed_task(row: ClaimedRow, *, inline: bool) -> worker_pb2.ClaimedTask:
    return worker_pb2.ClaimedTask(
        task_id=row.id,
        lease_epoch=row.epoch,
        attempt=row.attempt,
        generation=row.generation,
        kind=row.kind,
        name=row.name,
        input=row.input if inline else "",
        has_large_input=not inline,
        parameters=row.parameters,
        model=row.model,
        has_parents=row.has_parents,
        start_to_close_seconds=row.start_to_close_seconds,
        ceiling_nano_usd=row.ceiling_nano_usd,
        run_alone=row.run_alone,
        priority=row.priority,
    )


def settle_results(
    outcomes: Sequence[worker_pb2.Outcome], answers: Sequence[Answer]
) -> list[worker_pb2.SettleResult]:
    """What became of each outcome, in their order."""
    statuses = {answer: STATUSES[answer.status] for answer in set(answers)}
    return [
        worker_pb2.SettleResult(
            task_id=outcome.task_id,
            lease_epoch=outcome.lease_epoch,
            status=statuses[answer],
            message=answer.message,
        )
        for outcome, answer in zip(outcomes, answers, strict=True)
    ]


def endpoint_message(row: ModelEndpoint) -> worker_pb2.ModelEndpoint:
    """An endpoint as agents are told of it."""
    return worker_pb2.ModelEndpoint(
        name=row.name,
        backend=row.backend,
        base_url=row.base_url,
        models=row.model_names,
        input_price=row.input_price,
        output_price=row.output_price,
        key_name=row.key_name,
        timeout_seconds=row.timeout_seconds,
    )
