"""``pipeline``: the graph of tasks that the request gives, checked."""

import re
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jobs.errors import FieldError, InvalidRequest, PlanRefused
from jobs.planner.batch import asked_model, check_parameters
from jobs.planner.draft import Draft
from jobs.planner.job_parameters import MOST_CAUSES
from jobs.planner.request import PipelineTask

SPAWNED_NAME = re.compile(r"label-\d{1,3}")


def plan(draft: Draft) -> None:
    """Add the request's tasks in an order in which parents come first."""
    given = draft.request.tasks
    if not given:
        raise InvalidRequest.field("tasks", "pipeline needs at least one task")
    numbers = _numbers(given)
    _check_parents(given, numbers)
    order = _order(given, numbers)
    for number, task in enumerate(given):
        draft.check_kind(task.kind, f"tasks[{number}].kind")
    _check_clusters(given)
    stages = _stages(draft, given)
    index: dict[str, int] = {}
    for number in order:
        task, field = given[number], f"tasks[{number}]"
        check_parameters(task.kind, task.parameters, f"{field}.parameters")
        index[task.name] = draft.add(
            task.name,
            task.kind,
            stage=stages[task.kind],
            value=task.input,
            parameters=_parameters(draft, task, f"{field}.parameters") or None,
            model=draft.kind_model(task.kind, _asked_model(task), f"{field}.model"),
            needs=tuple(index[name] for name in task.needs),
            collects=tuple(index[name] for name in task.collects),
        )


def _stages(draft: Draft, given: Sequence[PipelineTask]) -> dict[str, int]:
    """A stage per kind, in order of appearance, and one for the labels a cluster task spawns."""
    kinds = dict.fromkeys(task.kind for task in given)
    spawned = {"label": MOST_CAUSES} if "cluster" in kinds else {}
    return {
        kind: draft.stage(kind, most_spawned=spawned.get(kind, 0)) for kind in {**kinds, **spawned}
    }


def _check_clusters(given: Sequence[PipelineTask]) -> None:
    """Labels are named by rank; what has such a name already would not be spawned again."""
    clusters = [number for number, task in enumerate(given) if task.kind == "cluster"]
    if len(clusters) > 1:
        raise _refusal(f"tasks[{clusters[1]}].kind", "a job has at most one cluster task; split it")
    for number, task in enumerate(given):
        if clusters and SPAWNED_NAME.fullmatch(task.name):
            raise _refusal(
                f"tasks[{number}].name",
                f"{task.name!r} is a name that the cluster task gives; choose another",
            )


def _refusal(field: str, text: str) -> PlanRefused:
    return PlanRefused(f"{field}: {text}", fields=[FieldError(field, text)])


def _parameters(draft: Draft, task: PipelineTask, field: str) -> dict[str, Any]:
    """The task's own; a cluster task also learns which model its labels may use."""
    if task.kind != "cluster":
        return task.parameters
    where = f"{field}.label_model"
    asked = task.parameters.get("label_model")
    if asked is not None and not isinstance(asked, str):
        raise InvalidRequest.field(where, "must be the name of a model")
    model = draft.model(asked, draft.policy.chat_model, where)
    draft.models.add(model)
    return {**task.parameters, "label_model": model}


def _asked_model(task: PipelineTask) -> str | None:
    """The model of the task, or of the OpenAI body that a model's task has as its input."""
    if task.kind not in ("chat", "embed") or not isinstance(task.input, dict):
        return task.model
    return asked_model(task.model, task.input.get("body"))


def _numbers(given: Sequence[PipelineTask]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, task in enumerate(given):
        first = numbers.setdefault(task.name, number)
        if first != number:
            raise InvalidRequest.field(
                f"tasks[{number}].name",
                f"{task.name[:100]!r} is the name of tasks[{first}] too; names are unique",
            )
    return numbers


def _check_parents(given: Sequence[PipelineTask], numbers: dict[str, int]) -> None:
    for number, task in enumerate(given):
        seen: set[str] = set()
        for field, names in (("needs", task.needs), ("collects", task.collects)):
            for place, name in enumerate(names):
                where = f"tasks[{number}].{field}[{place}]"
                if name not in numbers:
                    raise InvalidRequest.field(
                        where, f"there is no task {name[:100]!r} in this job"
                    )
                if name == task.name:
                    raise InvalidRequest.field(where, "a task cannot depend on itself")
                if name in seen:
                    raise InvalidRequest.field(
                        where, f"{name[:100]!r} is named twice; once is enough"
                    )
                seen.add(name)


def _shown(circle: Sequence[int]) -> list[int]:
    """The circle's tasks in the order of the work; a long one without its middle."""
    forward = list(circle)
    return forward if len(forward) <= 12 else forward[:6] + forward[-6:]


def _order(given: Sequence[PipelineTask], numbers: dict[str, int]) -> list[int]:
    graph = {
        number: [numbers[name] for name in (*task.needs, *task.collects)]
        for number, task in enumerate(given)
    }
    if all(parent < number for number, parents in graph.items() for parent in parents):
        return list(range(len(given)))
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        path = " -> ".join(given[number].name[:60] for number in _shown(error.args[1]))
        text = f"the tasks wait for each other in a circle: {path}; take one dependency out"
        raise _refusal("tasks", text) from None
