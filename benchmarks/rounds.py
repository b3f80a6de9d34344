"""The measurements, in rounds: each system once in every round, in another order each time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import daef, peers
from benchmarks.goals import number, percentile
from benchmarks.processes import Roots, cpu_seconds, stopped
from benchmarks.stores import Stores

NOOP, WORK, SINGLES, PICKUP, INTERACTIVE = "noop", "work", "singles", "pickup", "interactive"
MEASURES = (NOOP, WORK, SINGLES, PICKUP, INTERACTIVE)
WORK_MILLISECONDS = 20
SINGLES_COUNT = 1_000
PICKUP_COUNT = 200
INTERACTIVE_COUNT = 200
BACKLOG = 50_000
AFTERWARDS_SECONDS = 0.5
"""Processor time is counted until so long after the last task, for what is stored in the back."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how much of it. ``tasks`` is n where n has to be equal."""

    measures: tuple[str, ...]
    tasks: int
    slots: int

    def wants(self, measure: str) -> bool:
        """Whether it is part of the plan."""
        return measure in self.measures

    def scaled(self, count: int) -> int:
        """A count that belongs to 100,000 tasks, in proportion."""
        return max(20, round(count * min(1.0, self.tasks / 100_000)))


def calibration() -> float:
    """Milliseconds that a fixed piece of arithmetic takes: how quiet the machine is just now."""
    began = time.perf_counter()
    sum(n * n for n in range(500_000))
    return 1000 * (time.perf_counter() - began)


def measured(
    plan: Plan, chosen: Sequence[peers.Peer], with_daef: bool, stores: Stores, turn: int
) -> dict[str, dict[str, float]]:
    """One round: the figures of every system that did not fail; the order turns with ``turn``."""
    steps: list[tuple[str, Callable[[], dict[str, float]]]] = [
        (peer.name, lambda peer=peer: _peer(plan, peer, stores))  # type: ignore[misc]
        for peer in chosen
    ]
    if with_daef:
        # In the middle, between the peers it is most like.
        steps.insert(max(0, len(steps) - 1), (daef.NAME, lambda: _daef(plan)))
    first = turn % len(steps)
    found = {}
    for name, measure in steps[first:] + steps[:first]:
        quiet = calibration()
        try:
            figures = measure() | {"calibration_ms": quiet}
        except Exception as error:  # One that fails must not cost the figures of the others.
            print(f"  {name:14} FAILED: {type(error).__name__}: {error}", flush=True)
            continue
        found[name] = figures
        told = ", ".join(f"{key} {number(value)}" for key, value in figures.items())
        print(f"  {name:14} {told}", flush=True)
    return found


def _cpu(before: Counter[str], roots: Roots, tasks: int) -> dict[str, float]:
    """Microseconds a task: of everything together, and of each part."""
    time.sleep(AFTERWARDS_SECONDS)
    after = cpu_seconds(roots)
    parts = {f"cpu_{name}": 1e6 * (after[name] - before[name]) / tasks for name in after}
    return {"cpu": sum(parts.values())} | parts


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Their p50 and p99 in milliseconds."""
    return {
        f"{name}_p50": 1000 * percentile(seconds, 0.5),
        f"{name}_p99": 1000 * percentile(seconds, 0.99),
    }


def _peer(plan: Plan, peer: peers.Peer, stores: Stores) -> dict[str, float]:
    figures: dict[str, float] = {}
    tasks = plan.tasks if peer.equal_tasks else plan.scaled(peer.tasks)
    with peers.session(peer, stores) as session:
        if plan.wants(NOOP):
            before = cpu_seconds(session.roots)
            figures["noop"] = tasks / session.run(tasks)
            figures |= _cpu(before, session.roots, tasks)
        if plan.wants(WORK):
            count = plan.scaled(peer.working_tasks)
            figures["work"] = count / session.run(count, WORK_MILLISECONDS)
        if plan.wants(PICKUP):
            count = plan.scaled(PICKUP_COUNT)
            figures |= _percentiles("pickup", session.ask(do="pickup", count=count)["seconds"])
        if plan.wants(SINGLES):
            count = plan.scaled(SINGLES_COUNT)
            figures["singles_1"] = _singles(session, count, paused=True)
            figures["singles_1_working"] = _singles(session, count, paused=False)
    return figures


def _singles(session: peers.Session, count: int, *, paused: bool) -> float:
    """Enqueue calls a second of the one producer, the workers stopped meanwhile or not."""
    before = session.ran
    with stopped([worker.pid for worker in session.workers] if paused else []):
        told = session.ask(do="one_by_one", count=count)
    session.wait(before + count)
    return count / (told["ended"] - told["began"])


def _daef(plan: Plan) -> dict[str, float]:
    figures: dict[str, float] = {}
    if any(map(plan.wants, (NOOP, WORK, SINGLES))):
        with daef.fabric(plan.slots) as fabric:
            figures |= _throughput(plan, fabric)
    if any(map(plan.wants, (PICKUP, INTERACTIVE))):
        with daef.fabric(plan.slots, witness=True) as fabric:
            figures |= _latency(plan, fabric)
    return figures


def _throughput(plan: Plan, fabric: daef.Fabric) -> dict[str, float]:
    figures: dict[str, float] = {}
    if plan.wants(NOOP):
        before = cpu_seconds(fabric.roots)
        seconds, jobs = daef.run(fabric, plan.tasks)
        figures = {"noop": plan.tasks / seconds} | _cpu(before, fabric.roots, plan.tasks)
        daef.check(fabric, jobs, plan.tasks)
    if plan.wants(WORK):
        tasks = plan.scaled(100 * 2 * plan.slots)
        seconds, jobs = daef.run(fabric, tasks, WORK_MILLISECONDS)
        figures["work"] = tasks / seconds
        daef.check(fabric, jobs, tasks)
    if plan.wants(SINGLES):
        for connections in (8, 1):
            count = plan.scaled(SINGLES_COUNT if connections > 1 else SINGLES_COUNT // 4)
            name = f"singles_{connections}"
            figures[name] = daef.single_submissions(fabric, count, connections, paused=True)
            figures[f"{name}_working"] = daef.single_submissions(
                fabric, count, connections, paused=False
            )
    return figures


def _latency(plan: Plan, fabric: daef.Fabric) -> dict[str, float]:
    figures: dict[str, float] = {}
    if plan.wants(PICKUP):
        figures |= _percentiles("pickup", daef.pickups(fabric, plan.scaled(PICKUP_COUNT)))
    if plan.wants(INTERACTIVE):
        count = plan.scaled(INTERACTIVE_COUNT)
        figures |= _percentiles("interactive_idle", daef.interactive(fabric, count))
        beside = daef.interactive_beside_backlog(fabric, count, plan.scaled(BACKLOG))
        figures |= _percentiles("interactive_busy", beside)
    return figures
