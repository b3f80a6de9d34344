"""One run: start a fabric, submit, strike, heal, drain, check."""

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from tests.faults.arming import Arming
from tests.faults.checker import Verdict, check
from tests.faults.clients import Load, Orders
from tests.faults.cluster import Cluster, wait_until
from tests.faults.mischief import Nemesis

DRAIN_SECONDS = 45.0
START_SECONDS = 60.0
TICK_SECONDS = 0.1

# Agents are named after host and pid.
RUNS_ELSEWHERE = """
select count(*) from worker w join attempt a on a.owner = w.id and a.outcome = 'Lost'
    join task t on t.id = a.task_id and t.status = 'Running' and t.owner <> w.id
where w.name like '%%-{pid}' and a.finished_at > clock_timestamp() - interval '10 seconds'
"""


@dataclass(frozen=True)
class Plan:
    """What a run is: its seed, how long faults fall, how many tasks, how dense it all is."""

    seed: int
    name: str = "short"
    seconds: float = 55.0
    tasks: int = 5_000
    lease_seconds: float = 1.0
    slots: int = 8
    clients: int = 3
    batch: int = 40
    backlog: int = 600
    between_seconds: float = 1.3
    density: float = 0.3

    def with_seed(self, seed: int) -> "Plan":
        """The same plan with another seed."""
        return replace(self, seed=seed)


SHORT = Plan(0)
LONG = Plan(
    0,
    name="long",
    seconds=900.0,
    tasks=100_000,
    batch=400,
    backlog=4_000,
    slots=16,
    between_seconds=3.0,
)


@contextlib.contextmanager
def folder(keep: bool) -> Iterator[Path]:
    """A data folder that PostgreSQL's user may pass through; removed unless it is to be kept."""
    made = Path(tempfile.mkdtemp(prefix="daef-faults-"))
    made.chmod(0o711)
    (made / "logs").mkdir()
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


def run(plan: Plan, data: Path) -> Verdict:
    """Carry the plan out in ``data`` (an empty folder) and answer the checker's verdict."""
    began = time.monotonic()
    cluster = Cluster(
        data,
        seed=plan.seed,
        lease_seconds=plan.lease_seconds,
        slots=plan.slots,
        arming=Arming(plan.seed, density=plan.density),
    )
    orders = Orders(plan.seed, batch=plan.batch, lease_seconds=plan.lease_seconds)
    try:
        cluster.start()
        load = Load(data, cluster.http, orders, seed=plan.seed, clients=plan.clients)
        try:
            drained = _storm(plan, cluster, load)
        finally:
            load.stop.set()
        verdict = check(cluster, load.orders, drained, seconds=time.monotonic() - began)
        verdict.figures["own processor seconds"] = round(time.process_time(), 1)
        return verdict
    finally:
        cluster.stop()


def _storm(plan: Plan, cluster: Cluster, load: Load) -> float:
    """Faults while work goes on; answers how many seconds the drain took, -1 for never."""
    load.start()
    watch = Watch(cluster)
    cluster.runs_elsewhere = watch.runs_elsewhere
    _wait_for_work(plan, cluster, load, watch)
    nemesis = Nemesis(cluster, plan.seed)
    pace = random.Random(f"{plan.seed} pace")
    end = time.monotonic() + plan.seconds
    latest = time.monotonic() + 3 * plan.seconds
    next_strike = 0.0
    while (now := time.monotonic()) < end or (watch.stored() < plan.tasks and now < latest):
        cluster.tend(now)
        _throttle(load, watch.open(), plan.backlog)
        if now >= next_strike:
            nemesis.strike()
            next_strike = now + pace.expovariate(1 / plan.between_seconds)
        time.sleep(TICK_SECONDS)
    load.pause.set()
    return _drain(cluster, load, watch)


def _wait_for_work(plan: Plan, cluster: Cluster, load: Load, watch: "Watch") -> None:
    def tend() -> None:
        cluster.tend(time.monotonic())
        _throttle(load, watch.open(), plan.backlog)

    if not wait_until(lambda: watch.running() > 0, START_SECONDS, tend):
        raise AssertionError(f"nothing runs after {START_SECONDS} s: see {cluster.data}/logs")


def _throttle(load: Load, open_tasks: int, backlog: int) -> None:
    if open_tasks > backlog:
        load.pause.set()
    else:
        load.pause.clear()


def _drain(cluster: Cluster, load: Load, watch: "Watch") -> float:
    """No more faults: everything that was accepted has to end within DRAIN_SECONDS."""
    began = time.monotonic()
    cluster.heal()
    load.stop.set()

    def tend() -> None:
        cluster.tend(time.monotonic())

    def quiet() -> bool:
        return not load.alive() and watch.open() == 0

    return time.monotonic() - began if wait_until(quiet, DRAIN_SECONDS, tend) else -1.0


class Watch:
    """Counts of the database over a connection of its own; the last known while it is away."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._open = 0
        self._stored = 0

    def open(self) -> int:
        """Tasks that have not ended."""
        self._open = self._count("select coalesce(sum(open), 0) from job_stage", self._open)
        return self._open

    def stored(self) -> int:
        """Tasks of all jobs; an order that was given up may be among them or not."""
        self._stored = self._count("select coalesce(sum(total_tasks), 0) from job", self._stored)
        return self._stored

    def running(self) -> int:
        """Tasks in leases."""
        return self._count("select coalesce(sum(cardinality(task_ids)), 0) from lease", 0)

    def runs_elsewhere(self, pid: int) -> bool:
        """Whether a task that the agent of this pid lost runs under another lease by now."""
        return self._count(RUNS_ELSEWHERE.format(pid=int(pid)), 0) > 0

    def _count(self, statement: str, otherwise: int) -> int:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._cluster.connect()
            row = self._connection.execute(statement).fetchone()
        except psycopg.Error:
            self._connection = None
            return otherwise
        return int(str(row[0])) if row else otherwise
