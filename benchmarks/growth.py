"""What a task costs as the database and the number of agents grow: ``python -m benchmarks.growth``.

Starts a fabric of its own (embedded stores with fsync on, free ports, temporary data) and runs
tasks through it until there are 10³, 10⁴, 10⁵ and 10⁶ finished ones, all of them kept; then with 1
to 64 agents. The agents are simulated: they claim and settle over gRPC as real ones do, but run
nothing. The exit status is 1 when a task's cost has grown by half or more.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks import daef, document, machine
from benchmarks.goals import number
from benchmarks.processes import Roots, command, each_cpu_seconds, each_mib, tree
from benchmarks.simulated_agents import joined
from daef_site import fabric as fabrics

AGENTS = (1, 4, 16, 64)
SAMPLE = 20_000
"""Tasks over which a cost is taken (as many as there are, where history is shorter)."""

AGENTS_SAMPLE = 100_000
"""The same by number of agents: many batches for each of them."""

USUAL_AGENTS = 4
MOST_GROWTH = 1.5
"""A curve that grows as much is not flat; the same sample taken twice differs by a fifth here."""

HOT = """
select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables
where n_tup_upd > 0 order by n_tup_upd desc limit 4
"""
PARTS = (
    ("postgres", "postgres"),
    ("valkey", "redis"),
    ("controlplane", "control plane"),
    ("granian", "gateway"),
    ("gateway", "gateway"),
)


@dataclass(frozen=True)
class Cost:
    """What a task cost over one sample."""

    finished: int
    agents: int
    rate: float
    """Tasks a second, from the first submission until all had ended."""
    cpu: dict[str, float]
    """Microseconds of processor a task, by part of the fabric; the agents are not in it."""
    memory: dict[str, float]
    """MiB by part of the fabric, afterwards."""

    @property
    def total(self) -> float:
        """Microseconds a task of the whole fabric."""
        return sum(self.cpu.values())

    def __str__(self) -> str:
        cpu = ", ".join(f"{name} {value:.0f}" for name, value in self.cpu.items() if value >= 1)
        memory = ", ".join(f"{name} {value:.0f}" for name, value in self.memory.items())
        return (
            f"{self.finished:>9,} finished, {self.agents:2} agents: {number(self.rate):>6}/s, "
            f"{self.total:5.0f} µs a task ({cpu}); MiB: {memory}"
        )


def main() -> int:
    """Measure, print, write when asked to."""
    options = _options()
    machine.end_in_order()
    load = machine.load()
    print(" · ".join((*machine.description(), f"load {load:.1f}")))
    with daef.fabric(8, agents=0) as fabric:
        by_history = [_at(fabric, size) for size in _sizes(options.most)]
        by_agents = [_sample(fabric, AGENTS_SAMPLE, count) for count in AGENTS]
        hot = _hot(fabric)
    run = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.description(),
        "load_before": load,
        "by_history": [asdict(cost) for cost in by_history],
        "by_agents": [asdict(cost) for cost in by_agents],
        "heap_only_updates": hot,
    }
    if options.write:
        document.replace_part("growth", _page(run, by_history, by_agents))
    return max(
        _verdict("with history", growth_with_history(by_history)),
        _verdict("with agents", growth_with_agents(by_agents)),
    )


def _verdict(text: str, grown: float) -> int:
    word = "MET   " if grown < MOST_GROWTH else "MISSED"
    print(f"{word}: a task's cost grows {number(grown)}× {text} (goal < {MOST_GROWTH:g}×)")
    return 0 if grown < MOST_GROWTH else 1


def growth_with_history(costs: list[Cost]) -> float:
    """How much more a task costs than at any shorter history, at the most."""
    return max(
        later.total / earlier.total
        for place, earlier in enumerate(costs)
        for later in costs[place:]
    )


def growth_with_agents(costs: list[Cost]) -> float:
    """How much more a task costs than with the fewest agents, at the most."""
    return max(cost.total for cost in costs) / costs[0].total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000, help="finished tasks at the end")
    parser.add_argument("--write", action="store_true", help="write docs/reference/performance.md")
    return parser.parse_args()


def _sizes(most: int) -> list[int]:
    return [size for size in (10**3, 10**4, 10**5, 10**6) if size <= most]


def _at(fabric: daef.Fabric, size: int) -> Cost:
    """Let history grow to the size less a sample, then take the sample's cost."""
    sample = min(SAMPLE, size // 2)
    _run(fabric, size - sample - _finished(fabric), USUAL_AGENTS)
    return _sample(fabric, sample, USUAL_AGENTS)


def _sample(fabric: daef.Fabric, tasks: int, agents: int) -> Cost:
    before = each_cpu_seconds(parts(fabric.pid))
    seconds = _run(fabric, tasks, agents)
    time.sleep(0.5)
    # What has started meanwhile, such as a session of PostgreSQL, counts from its start.
    after = parts(fabric.pid)
    cpu = each_cpu_seconds(after)
    cost = Cost(
        finished=_finished(fabric),
        agents=agents,
        rate=tasks / seconds,
        cpu={name: 1e6 * (cpu[name] - before[name]) / tasks for name in cpu},
        memory=each_mib(after),
    )
    print(cost, flush=True)
    return cost


def parts(pid: int) -> Roots:
    """The fabric's processes by what they are."""
    found: dict[str, list[int]] = {}
    for process in tree(pid):
        words = " ".join(command(process))
        name = next((part for word, part in PARTS if word in words), "supervisor")
        found.setdefault(name, []).append(process.pid)
    return found


def _run(fabric: daef.Fabric, tasks: int, agents: int) -> float:
    """Seconds until so many tasks were submitted over HTTP, claimed and settled."""
    if tasks < 1:
        return 0.0
    living = fabrics.living(fabric.folder)
    assert living is not None
    drained = threading.Event()
    with joined(living.grpc, living.agent_token, agents) as simulated:
        began = time.monotonic()
        ending = threading.Thread(target=_submit, args=(fabric, tasks, drained))
        ending.start()
        settled = simulated.drain(drained)
        seconds = time.monotonic() - began
        ending.join()
    if settled != tasks:
        raise RuntimeError(f"{settled} of {tasks} tasks were settled")
    return seconds


def _submit(fabric: daef.Fabric, tasks: int, drained: threading.Event) -> None:
    try:
        numbers = range(tasks)
        jobs = [
            fabric.client.jobs.submit(daef.batch(numbers[start : start + daef.CHUNK]))["id"]
            for start in range(0, tasks, daef.CHUNK)
        ]
        daef.await_ends(fabric, jobs)
    finally:
        drained.set()


def _finished(fabric: daef.Fabric) -> int:
    with _connected(fabric) as connection:
        row = connection.execute("select count(*) from task where finished_at is not null")
        return int(row.fetchone()[0])  # type: ignore[index]


def _hot(fabric: daef.Fabric) -> dict[str, float]:
    """The share of updates that stayed on their page, of the tables with most of them."""
    time.sleep(2)
    with _connected(fabric) as connection:
        rows = connection.execute(HOT).fetchall()
    shares = {name: hot / updates for name, updates, hot in rows}
    for name, share in shares.items():
        print(f"{name:12} {100 * share:.0f} % of its updates are heap-only")
    return shares


def _connected(fabric: daef.Fabric) -> psycopg.Connection:
    living = fabrics.living(fabric.folder)
    assert living is not None
    return psycopg.connect(living.postgres_dsn, autocommit=True)


def _page(run: dict[str, Any], by_history: list[Cost], by_agents: list[Cost]) -> str:
    hot = ", ".join(
        f"{100 * share:.0f} % of `{name}`" for name, share in run["heap_only_updates"].items()
    )
    return (
        f"{run['date']}. {', '.join(run['machine'])}; load of the minute before "
        f"{run['load_before']:.1f}. Microseconds of processor a task, the agents left out. The "
        "first row is of 500 tasks only, so half a second of the idle fabric weighs in it. Memory "
        "is proportional set size: pages that processes share are counted once; PostgreSQL's grow "
        "to its buffers of 256 MiB.\n\n"
        + _table(by_history)
        + "\n\nThe same database, by number of agents:\n\n"
        + _table(by_agents)
        + f"\n\nUpdates that stayed on their page (heap-only): {hot}."
    )


def _table(costs: list[Cost]) -> str:
    names = sorted(Counter(name for cost in costs for name in cost.memory))
    return document.table(
        ("finished tasks", "agents", "tasks/s", "µs a task", *(f"{n}, MiB" for n in names)),
        (
            (
                f"{cost.finished:,}",
                str(cost.agents),
                number(cost.rate),
                number(cost.total),
                *(number(cost.memory.get(name, 0.0)) for name in names),
            )
            for cost in costs
        ),
    )


if __name__ == "__main__":
    raise SystemExit(main())
