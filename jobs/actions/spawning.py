"""Tasks that running tasks add to their job: checked like any input, then stored."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from jobs.actions.premises import endpoint_specs
from jobs.models import Job, JobStage
from jobs.planner.costs import task_cost
from jobs.states import MAX_PARAMETERS_BYTES, MAX_TASKS, split_task_id
from jobs.transitions import dependents, jobs, submission
from jobs.transitions.dependents import SpawnRow
from jobs.transitions.jobs import StageDelta

MAX_NAME = 255


class SpawnOrder(NamedTuple):
    """A task as the spawning task orders it; ``input`` and ``parameters`` are JSON text."""

    name: str
    kind: str
    input: str
    parameters: str
    model: str


def refusals(
    orders: Mapping[tuple[int, int, int], Sequence[SpawnOrder]],
) -> dict[tuple[int, int, int], str]:
    """Why shares (task, lease epoch, worker) may not spawn what they ordered.

    Those that may are left out.

    A task spawns only into stages that its job's plan named after the kind, only as many as the
    plan foresaw, and only with models of the plan.
    """
    if not orders:
        return {}
    numbers = {split_task_id(key[0])[0] for key in orders}
    found = {job.pk: job for job in Job.objects.filter(pk__in=numbers)}
    stages = _stages(numbers)
    problems = {
        key: _refusal(found.get(split_task_id(key[0])[0]), stages, wanted)
        for key, wanted in orders.items()
    }
    return {key: problem for key, problem in problems.items() if problem}


def _stages(numbers: set[int]) -> dict[tuple[int, str], JobStage]:
    rows = JobStage.objects.filter(job_id__in=numbers)
    return {(row.job_id, row.name): row for row in rows}


def _refusal(
    job: Job | None, stages: Mapping[tuple[int, str], JobStage], wanted: Sequence[SpawnOrder]
) -> str:
    if job is None:
        return "the job is gone"
    if job.total_tasks + len(wanted) > MAX_TASKS:
        return f"the job would have more than {MAX_TASKS} tasks"
    for order in wanted:
        stage = stages.get((job.pk, order.kind))
        if stage is None:
            return f"the job's plan has no stage for spawned tasks of kind {order.kind!r}"
        if len(wanted) > stage.planned_max:
            return f"the plan allows at most {stage.planned_max} tasks of kind {order.kind!r}"
        if order.model and order.model not in job.plan.get("models", []):
            return f"the job's plan does not use the model {order.model!r}"
        if not _is_name(order.name) or not _is_json(order.input, order.parameters):
            return "a spawned task needs a name, JSON input and JSON parameters"
        if len(order.parameters.encode()) > MAX_PARAMETERS_BYTES:
            return f"the parameters of a task may have {MAX_PARAMETERS_BYTES} bytes"
    return ""


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and "\x00" not in text


def _is_json(*texts: str) -> bool:
    try:
        for text in texts:
            msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def spawn_tasks(
    orders: Mapping[int, Sequence[SpawnOrder]], *, ended_with_dependents: Sequence[int]
) -> list[StageDelta]:
    """Store what ended tasks ordered; returns the new tasks' counters.

    All dependents of the transaction are locked before the stages are, as the lock order asks.
    """
    spawners = {task: wanted for task, wanted in orders.items() if wanted}
    if not spawners:
        return []
    numbers = {split_task_id(task)[0] for task in spawners}
    stages = _stages(numbers)
    rows = {
        task: _rows(split_task_id(task)[0], wanted, stages) for task, wanted in spawners.items()
    }
    dependents.lock_dependents(ended_with_dependents)
    jobs.lock_stages(sorted(numbers))
    return [
        StageDelta(split_task_id(task)[0], stage, open=1)
        for task, wanted in sorted(rows.items())
        for _, stage in dependents.spawn(task, wanted)
    ]


def _rows(
    job: int, wanted: Sequence[SpawnOrder], stages: Mapping[tuple[int, str], JobStage]
) -> list[SpawnRow]:
    capabilities = submission.intern_capabilities({(order.kind, order.model) for order in wanted})
    endpoints = endpoint_specs()
    rows = []
    for order in wanted:
        cost = task_cost(order.kind, order.input, None, model=order.model, endpoints=endpoints)
        rows.append(
            SpawnRow(
                name=order.name,
                kind=order.kind,
                model=order.model,
                capability=capabilities[order.kind, order.model],
                stage=stages[job, order.kind].stage,
                expected=cost.expected_tokens,
                ceiling=cost.ceiling_nano_usd,
                input=order.input,
                parameters=order.parameters,
            )
        )
    return rows
