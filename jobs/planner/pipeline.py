"""``pipeline``: the graph of tasks that the request gives, checked."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from jobs.errors import FieldError, InvalidRequest, PlanRefused
from jobs.planner.batch import check_parameters
from jobs.planner.draft import Draft
from jobs.planner.request import PipelineTask

MAX_STAGES = 16


def plan(draft: Draft) -> None:
    """Add the request's tasks in an order in which parents come first."""
    given = draft.request.tasks
    if not given:
        raise InvalidRequest.field("tasks", "pipeline needs at least one task")
    numbers = _numbers(given)
    _check_parents(given, numbers)
    order = _order(given, numbers)
    stages = _stages(draft, given)
    index: dict[str, int] = {}
    for number in order:
        task, field = given[number], f"tasks[{number}]"
        draft.check_kind(task.kind, f"{field}.kind")
        check_parameters(task.kind, task.parameters, f"{field}.parameters")
        index[task.name] = draft.add(
            task.name,
            task.kind,
            stage=stages[task.kind],
            value=task.input,
            parameters=task.parameters or None,
            model=draft.kind_model(task.kind, task.model, f"{field}.model"),
            needs=tuple(index[name] for name in task.needs),
            collects=tuple(index[name] for name in task.collects),
        )


def _stages(draft: Draft, given: Sequence[PipelineTask]) -> dict[str, int]:
    """A stage per kind, in order of appearance."""
    stages: dict[str, int] = {}
    for task in given:
        if task.kind not in stages and len(stages) < MAX_STAGES:
            stages[task.kind] = draft.stage(task.kind)
    return stages


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
                    raise InvalidRequest.field(where, f"there is no task {name[:100]!r} in this job")
                if name == task.name:
                    raise InvalidRequest.field(where, "a task cannot depend on itself")
                if name in seen:
                    raise InvalidRequest.field(where, f"{name[:100]!r} is named twice; once is enough")
                seen.add(name)


def _order(given: Sequence[PipelineTask], numbers: dict[str, int]) -> list[int]:
    graph = {
        number: [numbers[name] for name in (*task.needs, *task.collects)]
        for number, task in enumerate(given)
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        path = " -> ".join(given[number].name[:60] for number in reversed(error.args[1][:12]))
        text = f"the tasks wait for each other in a circle: {path}; take one dependency out"
        raise PlanRefused(f"tasks: {text}", fields=[FieldError("tasks", text)]) from None
