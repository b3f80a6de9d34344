"""Eyes on a running fabric: what its database says, and when its faults fired."""

import threading
import time
from pathlib import Path

import psycopg

from tests.faults.cluster import Cluster

# Agents are named after host and pid.
RUNS_ELSEWHERE = """
select count(*) from worker w join attempt a on a.owner = w.id and a.outcome = 'Lost'
    join task t on t.id = a.task_id and t.status = 'Running' and t.owner <> w.id
where w.name like '%%-{pid}' and a.finished_at > clock_timestamp() - interval '10 seconds'
"""


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
                # A database that stands still must not hold up whoever ends that.
                self._connection.execute("set statement_timeout = 1000")
            row = self._connection.execute(statement).fetchone()
        except psycopg.Error:
            self._connection = None
            return otherwise
        return int(str(row[0])) if row else otherwise


class FaultLog:
    """Reads faults.log while it is written: processes whose clock is wrong write wrong times."""

    def __init__(self, data: Path) -> None:
        self.lines: list[tuple[float, str]] = []
        """Each line with the time (Unix seconds) at which it was there."""

        self._path = data / "faults.log"
        self._read = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read what is left."""
        self._over.set()
        self._thread.join(5)
        self._look()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._look()

    def _look(self) -> None:
        if not self._path.exists() or self._path.stat().st_size == self._read:
            return
        with self._path.open("rb") as log:
            log.seek(self._read)
            fresh = log.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        now = time.time()
        self.lines += [(now, line) for line in whole.decode().splitlines()]
