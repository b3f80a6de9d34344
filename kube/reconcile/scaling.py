"""How many agents a pool is to have, and which of them are to go first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""The annotation by which a ReplicaSet chooses: pods with less go first."""

REASON_WITHIN = "WithinBounds"


@dataclass(frozen=True)
class Bounds:
    """What ``spec.autoscaling`` says, its defaults filled in."""

    least: int
    most: int
    tasks_per_replica: int
    stabilization_seconds: float


@dataclass
class Window:
    """How many agents would have been enough, lately; ``since`` is when it was begun."""

    since: float
    wanted: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Scale:
    """How many agents, and whether a bound decided (a reason of ``ScalingLimited``)."""

    replicas: int
    reason: str


def wanted(tasks: int, bounds: Bounds) -> Scale:
    """Agents for so many tasks, queued and running, within the bounds."""
    needed = ceil(tasks / bounds.tasks_per_replica)
    if needed > bounds.most:
        return Scale(bounds.most, "TooManyReplicas")
    if needed < bounds.least:
        return Scale(bounds.least, "TooFewReplicas")
    return Scale(needed, REASON_WITHIN)


def stabilized(current: int, scale: Scale, bounds: Bounds, window: Window, now: float) -> int:
    """More at once; fewer only when fewer were enough during the whole window.

    Adds to the window, which is empty after a change of leader: nothing shrinks until it is full.
    """
    oldest = now - bounds.stabilization_seconds
    window.wanted = [each for each in window.wanted if each[0] >= oldest]
    window.wanted.append((now, scale.replicas))
    if scale.replicas >= current:
        return scale.replicas
    most = max(replicas for _, replicas in window.wanted)
    if window.since > oldest:
        most = max(most, current)
    return (
        min(max(most, bounds.least), bounds.most, current)
        if most < current
        else _kept(current, bounds)
    )


def _kept(current: int, bounds: Bounds) -> int:
    return min(current, bounds.most)


def deletion_costs(pods: Sequence[tuple[str, str]], busy: dict[str, int]) -> list[tuple[str, str]]:
    """Pods whose cost is to change, with the new one: the slots that run a task.

    ``pods`` are names with the cost they have now ("" for none); ``busy`` is by pod.
    """
    costs = [(name, before, str(busy.get(name, 0))) for name, before in pods]
    return [(name, cost) for name, before, cost in costs if (before or "0") != cost]
