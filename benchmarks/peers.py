"""The peers: how each is started, with which settings, and what its figure buys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peer_programs import run_log
from benchmarks.stores import Stores
from daef_site import children

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv-bench"
RUN_SECONDS = 180.0
START_SECONDS = 60.0
WARM_UP = 40
"""Tasks before the clock starts: every worker has connected and imported what it needs."""


@dataclass(frozen=True)
class Peer:
    """One peer in one way of running it.

    ``worker`` is the command of one worker process (``processes`` of them are started, which run
    ``at_once`` tasks together); a word ending in ``.py`` or starting with a command's name is
    looked up in the peers' environment. ``tasks`` and ``working_tasks`` are how many no-op and
    20 ms tasks a run has, so that it takes some seconds.
    """

    name: str
    program: str
    worker: tuple[str, ...]
    settings: str
    durability: str
    tasks: int
    working_tasks: int
    at_once: str
    processes: int = 2
    packages: tuple[str, ...] = ()
    schema: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    equal_tasks: bool = False


_PYTHON = ("python", "-m")
_REDIS_ONLY = "in Redis, synced every second: a crash of the machine loses up to a second"

PEERS = (
    Peer(
        name="rq",
        program="rq",
        worker=(*_PYTHON, "benchmarks.peer_programs", "rq", "worker", "default"),
        settings="default worker (forks for each job), `enqueue_many` of 1,000; imports beforehand",
        durability=f"job, state and result {_REDIS_ONLY}; jobs of a dead worker are found again "
        "after minutes",
        tasks=300,
        working_tasks=100,
        at_once="2",
        packages=("rq",),
        environment={"BENCH_ONE_LOG": "1"},
    ),
    Peer(
        name="rq-simple",
        program="rq",
        worker=(*_PYTHON, "benchmarks.peer_programs", "rq", "worker", "simple"),
        settings="SimpleWorker (no fork), `enqueue_many` of 1,000",
        durability=f"job, state and result {_REDIS_ONLY}; jobs of a dead worker are found again "
        "after minutes",
        tasks=1_500,
        working_tasks=200,
        at_once="2",
        packages=("rq",),
    ),
    Peer(
        name="celery",
        program="celery",
        worker=(
            *("celery", "-A", "benchmarks.peer_programs.celery_program", "worker", "-P", "prefork"),
            *("-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle"),
            "--without-heartbeat",
        ),
        settings="one prefork worker of 2 processes, `acks_late`, results in Redis, prefetch "
        "multiplier 64 (its manual's advice for short tasks), no gossip, mingle or heartbeat; "
        "`.delay()` in a loop, it has no bulk call",
        durability=f"acked after the run; queue and result {_REDIS_ONLY}; a dead worker's tasks "
        "come back after the visibility timeout, an hour by default",
        tasks=1_500,
        working_tasks=200,
        at_once="2",
        processes=1,
        packages=("celery", "kombu"),
    ),
    Peer(
        name="dramatiq",
        program="dramatiq",
        worker=(
            *("dramatiq", "benchmarks.peer_programs.dramatiq_program"),
            *("--processes", "2", "--threads", "8"),
        ),
        settings="2 processes of 8 threads (its default), results in Redis; `.send()` in a loop, "
        "it has no bulk call",
        durability=f"at least once by heartbeats and requeueing; queue and result {_REDIS_ONLY}",
        tasks=6_000,
        working_tasks=1_500,
        at_once="16",
        processes=1,
        packages=("dramatiq",),
    ),
    Peer(
        name="huey",
        program="huey",
        worker=(
            *("huey_consumer", "benchmarks.peer_programs.huey_program.huey"),
            *("-w", "2", "-k", "process", "-q"),
        ),
        settings="one consumer of 2 worker processes, results in Redis; called in a loop, it has "
        "no bulk call",
        durability=f"popped before the run: a dead worker's task is lost; result {_REDIS_ONLY}",
        tasks=6_000,
        working_tasks=200,
        at_once="2",
        processes=1,
        packages=("huey",),
    ),
    Peer(
        name="procrastinate",
        program="procrastinate",
        worker=(*_PYTHON, "benchmarks.peer_programs", "procrastinate", "worker", "8"),
        settings="2 workers of concurrency 8 on uvloop, psycopg pool, `batch_defer` of 1,000",
        durability="every step a commit of its own in PostgreSQL, fsynced, with a table of events; "
        "no result is stored",
        tasks=2_000,
        working_tasks=1_500,
        at_once="16",
        packages=("procrastinate",),
        schema=True,
    ),
    *(
        Peer(
            name=f"pgqueuer-{batch}",
            program="pgqueuer",
            worker=(*_PYTHON, "benchmarks.peer_programs", "pgqueuer", "worker", str(batch)),
            settings=f"2 workers, batch size {batch}, asyncpg, uvloop, `enqueue` of 1,000",
            durability="jobs fsynced in PostgreSQL, claimed in batches; the log of what ended is "
            "buffered, so jobs that ran may run again after a crash; no result is stored",
            tasks=100_000,
            working_tasks=5_000,
            at_once="unlimited",
            packages=("pgqueuer", "asyncpg"),
            schema=True,
            equal_tasks=True,
        )
        for batch in (10, 100)
    ),
)


@dataclass
class Session:
    """A peer's workers and producer, running on empty stores."""

    peer: Peer
    stores: Stores
    runs: Path
    workers: list[subprocess.Popen[bytes]]
    producer: subprocess.Popen[str]

    def ask(self, **order: Any) -> dict[str, Any]:
        """Let the producer do something, and return its answer."""
        assert self.producer.stdin is not None
        self.producer.stdin.write(json.dumps(order) + "\n")
        self.producer.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """The producer's next answer."""
        assert self.producer.stdout is not None
        line = self.producer.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.peer.name}: the producer ended; see {self.stores.folder}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def ran(self) -> int:
        """How many tasks have run so far."""
        return run_log.read(self.runs)[0]

    def run(self, count: int, milliseconds: int = 0) -> float:
        """Seconds from the first enqueue to the last task run."""
        before = self.ran
        told = self.ask(do="many", count=count, milliseconds=milliseconds)
        return self.wait(before + count) - float(told["began"])

    def wait(self, count: int) -> float:
        """The monotonic second at which so many tasks had run."""
        deadline = time.monotonic() + RUN_SECONDS
        while (now := run_log.read(self.runs))[0] < count:
            if time.monotonic() > deadline or any(w.poll() is not None for w in self.workers):
                raise RuntimeError(f"{self.peer.name}: {now[0]} of {count} tasks ran")
            time.sleep(0.01)
        return now[1]

    @property
    def roots(self) -> dict[str, list[int]]:
        """The processes whose processor time the peer uses."""
        own = {"workers": [w.pid for w in self.workers], "producer": [self.producer.pid]}
        return own | self.stores.pids


@contextmanager
def session(peer: Peer, stores: Stores) -> Iterator[Session]:
    """The peer's workers and producer on empty stores, warmed up, until the block ends."""
    stores.empty()
    runs = Path(tempfile.mkdtemp(prefix="runs-", dir=stores.folder))
    environment = _environment(peer, stores, runs)
    log = stores.folder / "logs" / f"{peer.name}.log"
    if peer.schema:
        subprocess.run(_program(peer, "schema"), env=environment, cwd=CHECKOUT, check=True)
    workers = [
        children.spawn(_command(peer), log=log, environment=environment, folder=CHECKOUT)
        for _ in range(peer.processes)
    ]
    try:
        with subprocess.Popen(
            _program(peer, "producer"),
            env=environment,
            cwd=CHECKOUT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as producer:
            try:
                running = Session(peer, stores, runs, workers, producer)
                running.hear()
                running.run(WARM_UP)
                time.sleep(0.5)
                yield running
            finally:
                assert producer.stdin is not None
                producer.stdin.close()
    except BaseException:
        print(children.last_lines(log, 20))
        raise
    finally:
        for worker in workers:
            children.end(worker)
        shutil.rmtree(runs)


def _environment(peer: Peer, stores: Stores, runs: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAEF_")}
    return kept | {
        "BENCH_RUNS": str(runs),
        "BENCH_REDIS_URL": stores.redis.url,
        "BENCH_POSTGRES_DSN": stores.dsn,
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
        **peer.environment,
    }


def _command(peer: Peer) -> list[str]:
    program, *words = peer.worker
    return [str(VENV / "bin" / program), *words]


def _program(peer: Peer, part: str) -> list[str]:
    return [str(VENV / "bin" / "python"), "-m", "benchmarks.peer_programs", peer.program, part]


def install() -> None:
    """Make the peers' environment, where it is missing or its requirements have changed."""
    wanted = CHECKOUT / "requirements-bench.txt"
    done = VENV / ".installed"
    if done.exists() and done.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
        return
    print("set-up        the peers' packages in .venv-bench", flush=True)
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([_base_python(), "-m", "venv", str(VENV)], check=True)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    subprocess.run([python, "-m", "pip", *quiet, "install", "-r", str(wanted)], check=True)
    done.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")


def _base_python() -> str:
    # The interpreter that our own environment was made from.
    return str(getattr(sys, "_base_executable", sys.executable))


def versions(peers: list[Peer]) -> dict[str, str]:
    """The installed version of each package that the peers consist of."""
    names = sorted({package for peer in peers for package in peer.packages})
    program = (
        "import importlib.metadata as m, json, sys; "
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    )
    told = subprocess.run(
        [VENV / "bin" / "python", "-c", program, *names], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(told.stdout)
    return found
