"""One run: start a fabric, submit, strike, heal, drain, check."""

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from faultpoints import POINTS
from tests.faults.arming import Arming
from tests.faults.checker import check
from tests.faults.clients import Load
from tests.faults.cluster import Cluster, wait_until
from tests.faults.mischief import Nemesis
from tests.faults.operators import Operator
from tests.faults.orders import Orders
from tests.faults.till import till
from tests.faults.verdict import Verdict
from tests.faults.watch import FaultLog, Watch

START_SECONDS = 60.0
TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """What a run is: its seed, how long faults fall, how many tasks, how dense it all is.

    Faults fall for ``seconds``, and longer, up to ``latest`` of them, until every kind has been
    there, every point has fired, and there are ``tasks`` tasks. Once every kind has been there
    they fall less often.
    """

    seed: int
    name: str = "short"
    seconds: float = 40.0
    latest: float = 150.0
    tasks: int = 5_000
    lease_seconds: float = 1.0
    slots: int = 10
    clients: int = 3
    batch: int = 80
    backlog: int = 600
    between_seconds: float = 0.9
    lull: float = 3.0
    """How much seldomer faults fall once every kind has been there."""

    density: float = 0.25
    longest_stop: float = 1.5
    """How long a store may stand still, in seconds."""

    drain_seconds: float = 45.0
    """How long after the last fault everything that was accepted may take to end."""

    def with_seed(self, seed: int) -> "Plan":
        """The same plan with another seed."""
        return replace(self, seed=seed)


SHORT = Plan(0)
LONG = Plan(
    0,
    name="long",
    seconds=900.0,
    latest=3600.0,
    tasks=100_000,
    batch=400,
    backlog=4_000,
    slots=16,
    between_seconds=3.0,
    lull=1.0,
    longest_stop=10.0,
    drain_seconds=180.0,
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
    clock = Stopwatch()
    cluster = Cluster(
        data,
        seed=plan.seed,
        lease_seconds=plan.lease_seconds,
        slots=plan.slots,
        arming=Arming(plan.seed, density=plan.density),
        longest_stop=plan.longest_stop,
    )
    orders = Orders(plan.seed, batch=plan.batch, lease_seconds=plan.lease_seconds)
    with till() as address:
        try:
            log = FaultLog(data)
            cluster.start(address)
            load = Load(data, cluster.balancer.port, orders, seed=plan.seed, clients=plan.clients)
            operator = Operator(data, cluster.balancer.port, load.accepted, seed=plan.seed)
            storm = Storm(plan, cluster, load, operator)
            try:
                storm.begin()
                clock.lap("started in")
                storm.rage()
                clock.lap("storm of")
                drained = storm.drain()
            finally:
                load.stop.set()
                operator.close()
            log.close()
            clock.lap("drain and end of clients")
            verdict = check(cluster, load.orders, log.lines, drained)
            clock.lap("checked in")
        finally:
            cluster.stop()
    verdict.missing = storm.nemesis.missing
    clock.lap("stopped in")
    verdict.figures |= clock.laps | {
        "seconds": round(clock.total(), 1),
        "own processor seconds": round(time.process_time() - clock.processor, 1),
    }
    return verdict


class Stopwatch:
    """How long each part of a run took."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.processor = time.process_time()
        self._began = self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """A part is over."""
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 1)
        self._last = now

    def total(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began


class Storm:
    """Faults while work goes on."""

    def __init__(self, plan: Plan, cluster: Cluster, load: Load, operator: Operator) -> None:
        self.nemesis = Nemesis(cluster, plan.seed)
        self._plan = plan
        self._cluster = cluster
        self._load = load
        self._operator = operator
        self._watch = Watch(cluster)
        self._pace = random.Random(f"{plan.seed} pace")
        cluster.runs_elsewhere = self._watch.runs_elsewhere

    def begin(self) -> None:
        """Submit, and wait until something runs."""
        self._load.start()
        self._operator.start()

        def tend() -> None:
            self._cluster.tend(time.monotonic())
            self._throttle()

        if not wait_until(lambda: self._watch.running() > 0, START_SECONDS, tend):
            logs = self._cluster.data / "logs"
            raise AssertionError(f"nothing runs after {START_SECONDS} s: see {logs}")

    def rage(self) -> None:
        """Strike again and again."""
        began = next_strike = time.monotonic()
        while (now := time.monotonic()) < began + self._plan.latest:
            if now > began + self._plan.seconds and self._is_enough():
                break
            self._cluster.tend(now)
            self._throttle()
            if now >= next_strike:
                next_strike = now + self._strike()
            time.sleep(TICK_SECONDS)

    def _strike(self) -> float:
        """One fault; answers how many seconds to wait before the next."""
        lull = not self.nemesis.due
        if not self.nemesis.strike(self._cluster.role_to_arm() if lull else ""):
            return 0.2
        mean = self._plan.between_seconds * (self._plan.lull if lull else 1)
        return min(self._pace.expovariate(1 / mean), 2 * mean)

    def drain(self) -> float:
        """No more faults; answers in how many seconds everything ended, -1 for not in time."""
        began = time.monotonic()
        self._load.stop.set()
        self._operator.stop.set()
        self._cluster.heal()

        def tend() -> None:
            self._cluster.tend(time.monotonic())

        def quiet() -> bool:
            return not self._load.alive() and self._watch.open() == 0

        ended = wait_until(quiet, self._plan.drain_seconds, tend)
        return time.monotonic() - began if ended else -1.0

    def _is_enough(self) -> bool:
        return (
            not self.nemesis.due
            and self._watch.stored() >= self._plan.tasks
            and self._cluster.points_fired() >= set(POINTS)
        )

    def _throttle(self) -> None:
        if self._watch.open() > self._plan.backlog:
            self._load.pause.set()
        else:
            self._load.pause.clear()
