"""A plan in the making: the planners add stages and tasks, ``finish`` does the sums."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from jobs.errors import FieldError, InvalidRequest, PlanRefused, PolicyDenied
from jobs.planner.costs import (
    FREE,
    MODEL_KINDS,
    TASK_SECONDS,
    TaskCost,
    expected_nano_usd,
    task_cost,
    task_seconds,
)
from jobs.planner.plan import Estimate, Plan, PlannedStage, PlannedTask
from jobs.planner.request import Document, JobRequest
from jobs.policies.policy import EndpointSpec, PolicySpec
from jobs.states import MAX_PARAMETERS_BYTES, MAX_TASKS

KINDS = frozenset({"chat", "embed", "cluster", "label", "reduce", "report", "echo"})
TEST_KINDS = frozenset(
    {
        *("fail", "fail_attempts", "exit", "segfault", "spin"),
        *("out_of_memory", "huge_result", "loud", "witness"),
    }
)
LOW, HIGH = 0.5, 1.5
"""Estimates are right within a factor of two at best; this is the range they are shown with."""

SLOTS_ASSUMED = 2
ENCODE = msgspec.json.Encoder().encode
WORK_FIELDS = {"batch": "requests", "pipeline": "tasks"}
"""What to make less of in a job that has too many tasks; documents for the other types."""

MAX_SLEEP_MILLISECONDS = 60_000


@dataclass
class Draft:
    """What a planner works with and adds to."""

    request: JobRequest
    policy: PolicySpec
    endpoints: Sequence[EndpointSpec]
    documents: Sequence[Document]
    kinds: frozenset[str]
    stages: list[PlannedStage] = field(default_factory=list)
    tasks: list[PlannedTask] = field(default_factory=list)
    costs: list[tuple[str, str, TaskCost]] = field(default_factory=list)
    """Kind, model and cost of each task that calls a model."""

    models: set[str] = field(default_factory=set)

    def stage(self, name: str, *, most_spawned: int = 0) -> int:
        """Begin a stage; tasks added from now on are counted in it by ``finish``."""
        self.stages.append(PlannedStage(name, 0, most_spawned))
        return len(self.stages) - 1

    def add(
        self,
        name: str,
        kind: str,
        *,
        stage: int,
        value: Any = None,
        parameters: dict[str, Any] | None = None,
        model: str = "",
        needs: tuple[int, ...] = (),
        collects: tuple[int, ...] = (),
    ) -> int:
        """Add a task and return its index."""
        text = encode(value)
        parameters_text = _parameters_text(name, parameters)
        cost = FREE
        if kind in MODEL_KINDS:
            cost = task_cost(
                kind,
                text,
                _max_tokens(value, parameters),
                model=model,
                endpoints=self.endpoints,
                collected=len(needs) + len(collects),
                parameters_text=parameters_text,
                group_tokens=_whole((parameters or {}).get("group_tokens")),
            )
            self.costs.append((kind, model, cost))
            self.models.add(model)
        self.tasks.append(
            PlannedTask(
                name=name,
                kind=kind,
                stage=stage,
                input=text,
                parameters=parameters_text,
                model=model,
                needs=needs,
                collects=collects,
                expected_tokens=min(cost.expected_tokens, 2**31 - 1),
                ceiling_nano_usd=cost.ceiling_nano_usd,
            )
        )
        return len(self.tasks) - 1

    def model(self, asked: str | None, default: str, field_name: str = "model") -> str:
        """The model a task uses: the one asked for, the job's, or the policy's.

        Raises InvalidRequest for an unknown one, PolicyDenied for one the policy excludes.
        """
        name = asked or default
        served = [endpoint for endpoint in self.endpoints if name in endpoint.models]
        if not served:
            known = sorted({model for endpoint in self.endpoints for model in endpoint.models})
            raise InvalidRequest.field(
                field_name, f"no endpoint serves {name!r}; known models: {', '.join(known)}"
            )
        if not self.policy.allows_model(name) or not any(
            self.policy.allows_location(endpoint.location) for endpoint in served
        ):
            raise _denied(self.policy, name, field_name)
        return name

    def kind_model(self, kind: str, asked: str | None, field_name: str) -> str:
        """The model for a task of this kind; empty for kinds that call none.

        The job's own ``model`` is a chat model, but in a job that only embeds.
        """
        if kind == "embed":
            return self.model(asked, self.policy.embedding_model, field_name)
        if kind in ("chat", "reduce", "label"):
            return self.model(asked or self.request.model, self.policy.chat_model, field_name)
        if asked:
            raise InvalidRequest.field(
                field_name, f"tasks of kind {kind!r} use no model; leave it out"
            )
        return ""

    def check_kind(self, kind: str, field_name: str) -> None:
        """Raises PlanRefused for a kind there is no executor for."""
        if kind not in self.kinds:
            text = f"there is no executor {kind!r}; known kinds: {', '.join(sorted(self.kinds))}"
            raise PlanRefused(f"{field_name}: {text}", fields=[FieldError(field_name, text)])

    def finish(self) -> Plan:
        """Count, estimate and hash. Raises PlanRefused when there are too many tasks."""
        most = len(self.tasks) + sum(stage.planned_max for stage in self.stages)
        bound = min(self.policy.max_tasks, MAX_TASKS)
        if most > bound:
            text = f"the plan has up to {most} tasks; the policy allows {bound}; split the job"
            where = WORK_FIELDS.get(self.request.type, "documents")
            raise PlanRefused(f"{where}: {text}", fields=[FieldError(where, text)])
        counts = [0] * len(self.stages)
        for task in self.tasks:
            counts[task.stage] += 1
        stages = tuple(
            PlannedStage(stage.name, counts[number], counts[number] + stage.planned_max)
            for number, stage in enumerate(self.stages)
        )
        return Plan(
            stages=stages,
            tasks=tuple(self.tasks),
            models=tuple(sorted(self.models)),
            estimate=self._estimate(),
            hash=_hash(stages, self.tasks),
        )

    def _estimate(self) -> Estimate:
        spawned = self._spawned_costs()
        pairs = [(cost, model) for _, model, cost in self.costs]
        pairs += [(cost, self.policy.chat_model) for cost in spawned]
        expected = expected_nano_usd(pairs, self.endpoints)
        seconds = (len(self.tasks) - len(self.costs)) * TASK_SECONDS
        seconds += sum(task_seconds(kind, cost) for kind, _, cost in self.costs)
        seconds += sum(task_seconds("label", cost) for cost in spawned)
        return Estimate(
            input_tokens=sum(cost.input_tokens for cost, _ in pairs),
            output_tokens=sum(cost.output_tokens for cost, _ in pairs),
            cost_low_nano_usd=int(expected * LOW),
            cost_expected_nano_usd=expected,
            cost_high_nano_usd=int(expected * HIGH),
            seconds_low=round(seconds / SLOTS_ASSUMED * LOW, 1),
            seconds_high=round(seconds / SLOTS_ASSUMED * HIGH, 1),
        )

    def _spawned_costs(self) -> list[TaskCost]:
        """Labels to come: a dozen is what ticket collections usually fall into."""
        most = sum(stage.planned_max for stage in self.stages)
        return [TaskCost(140, 120, 20, 0)] * min(12, most)


def encode(value: Any) -> str:
    """JSON text of a value."""
    return ENCODE(value).decode()


def _parameters_text(name: str, parameters: dict[str, Any] | None) -> str:
    """JSON text of a task's parameters. Raises PlanRefused when it is too large to travel."""
    text = encode(parameters) if parameters else "{}"
    if len(text) > MAX_PARAMETERS_BYTES or len(text.encode()) > MAX_PARAMETERS_BYTES:
        problem = (
            f"those of task {name[:100]!r} are larger than {MAX_PARAMETERS_BYTES} bytes; "
            "put what is large into its input"
        )
        raise PlanRefused(f"parameters: {problem}", fields=[FieldError("parameters", problem)])
    return text


def _max_tokens(value: Any, parameters: dict[str, Any] | None) -> int | None:
    """The output bound a task names, where it is a usable one; executors judge the rest."""
    body = value.get("body") if isinstance(value, dict) else None
    places = [parameters or {}, body if isinstance(body, dict) else {}]
    for place in places:
        for name in ("max_tokens", "max_completion_tokens"):
            if asked := _whole(place.get(name)):
                return asked
    return None


def _whole(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1_000_000
    return value if usable else None


def _denied(policy: PolicySpec, model: str, field_name: str) -> PolicyDenied:
    if policy.allows_model(model):
        places = ", ".join(policy.locations)
        text = f"{model!r} answers at none of the locations that the policy allows: {places}"
    else:
        text = f"the policy allows the models {', '.join(policy.models)}, not {model!r}"
    return PolicyDenied(f"{field_name}: {text}", fields=[FieldError(field_name, text)])


def _hash(stages: Sequence[PlannedStage], tasks: Sequence[PlannedTask]) -> str:
    return hashlib.sha256(ENCODE((stages, tasks))).hexdigest()
