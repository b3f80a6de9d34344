"""What the planner makes of a request: stages, tasks, an estimate, and a hash over all of it."""

from dataclasses import dataclass

import msgspec


class PlannedTask(msgspec.Struct, frozen=True, gc=False):
    """One task to be. ``needs`` and ``collects`` are indexes into ``Plan.tasks``."""

    name: str
    kind: str
    stage: int
    input: str = "null"
    """JSON text."""
    parameters: str = "{}"
    """JSON object text."""
    model: str = ""
    needs: tuple[int, ...] = ()
    collects: tuple[int, ...] = ()
    expected_tokens: int = 0
    ceiling_nano_usd: int = 0
    """The most its model calls may cost in one attempt; -1 for no ceiling."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """Alike tasks: ``planned_min`` known now, up to ``planned_max`` with spawned ones."""

    name: str
    planned_min: int
    planned_max: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the job will probably take; money in nano-USD."""

    input_tokens: int
    output_tokens: int
    cost_low_nano_usd: int
    cost_expected_nano_usd: int
    cost_high_nano_usd: int
    seconds_low: float
    seconds_high: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan; the same request under the same policy has the same hash."""

    stages: tuple[PlannedStage, ...]
    tasks: tuple[PlannedTask, ...]
    models: tuple[str, ...]
    estimate: Estimate
    hash: str
