"""What the figures have to show, and whether they do: pure functions of the rounds' figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import daef

Figures = Mapping[str, Mapping[str, float]]
"""One round: for each system its figures by name."""

ROUNDS_SHARE = 0.8
"""A goal is met when it holds in four rounds of five."""


@dataclass(frozen=True)
class Goal:
    """``ours`` of DAEF over ``theirs`` of ``system``: at least ``bound``, or at most."""

    text: str
    system: str
    ours: str
    theirs: str
    bound: float
    at_least: bool = True

    def ratio(self, figures: Figures) -> float | None:
        """The ratio in one round; None where one of the figures was not taken."""
        ours = figures.get(daef.NAME, {}).get(self.ours)
        theirs = figures.get(self.system, {}).get(self.theirs)
        return None if ours is None or not theirs else ours / theirs

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is good enough."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound


@dataclass(frozen=True)
class Verdict:
    """A goal and its ratio in each round that has both figures."""

    goal: Goal
    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        """The ratio in the middle."""
        return statistics.median(self.ratios)

    @property
    def held(self) -> int:
        """In how many rounds the goal holds."""
        return sum(map(self.goal.holds, self.ratios))

    @property
    def met(self) -> bool:
        """Whether it holds in enough of them."""
        return self.held >= math.ceil(ROUNDS_SHARE * len(self.ratios))

    def __str__(self) -> str:
        sign = "≥" if self.goal.at_least else "≤"
        return (
            f"{'MET   ' if self.met else 'MISSED'} in {self.held} of {len(self.ratios)} rounds: "
            f"{self.goal.text}: {number(self.median)}× (goal {sign} {self.goal.bound:g}×)"
        )


def _faster(system: str, name: str, bound: float) -> Goal:
    return Goal(f"no-op tasks a second against {name}", system, "noop", "noop", bound)


GOALS = (
    _faster("rq", "RQ's default worker", 100),
    _faster("rq-simple", "RQ's SimpleWorker", 30),
    _faster("celery", "Celery", 25),
    _faster("dramatiq", "Dramatiq", 8),
    _faster("huey", "Huey", 5),
    _faster("procrastinate", "Procrastinate", 20),
    _faster("pgqueuer-10", "PgQueuer in batches of 10", 3),
    _faster("pgqueuer-100", "PgQueuer in batches of 100", 1.2),
    Goal(
        "single submissions over HTTP on 8 connections against Celery's `.delay()`",
        "celery",
        "singles_8",
        "singles_1",
        1.2,
    ),
    Goal(
        "idle pickup p50 against RQ's SimpleWorker",
        "rq-simple",
        "pickup_p50",
        "pickup_p50",
        1.5,
        at_least=False,
    ),
    Goal(
        "processor time of a no-op task against RQ's SimpleWorker",
        "rq-simple",
        "cpu",
        "cpu",
        0.1,
        at_least=False,
    ),
    Goal(
        "interactive p99 beside a backlog against idle",
        daef.NAME,
        "interactive_busy_p99",
        "interactive_idle_p99",
        2.0,
        at_least=False,
    ),
)


def verdicts(rounds: Sequence[Figures], goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    """How each goal fared that was measured at all."""
    found = []
    for goal in goals:
        ratios = tuple(r for figures in rounds if (r := goal.ratio(figures)) is not None)
        if ratios:
            found.append(Verdict(goal, ratios))
    return found


def medians(rounds: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Each system's figures, each the median of its rounds."""
    names = {(system, name) for one in rounds for system, own in one.items() for name in own}
    found: dict[str, dict[str, float]] = {}
    for system, name in sorted(names):
        values = [one[system][name] for one in rounds if name in one.get(system, {})]
        found.setdefault(system, {})[name] = statistics.median(values)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of them lies, between neighbours if need be."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def number(value: float) -> str:
    """A figure with three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
