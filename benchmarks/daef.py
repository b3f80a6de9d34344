"""DAEF as a whole, as ``make up`` starts it, and what is measured on it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.http_load import Connection, as_json, post_all
from benchmarks.processes import Roots, command, stopped, tree
from benchmarks.throughput import environment
from client import Client
from client.api import JOB_ENDS
from client.local_fabric import started

NAME = "daef"
AGENTS = 2
CHUNK = 5_000
"""Tasks of one submission; the fabric takes bodies up to 1 MiB."""

PAUSE_SECONDS = 0.02
"""Between two tasks whose latency is taken, so that the agents are idle again."""

SETTINGS = (
    "`make up` with `DAEF_STORE=embedded DAEF_QUEUE=embedded`, 2 agents of {slots} slots, batch "
    "jobs of 5,000 tasks over HTTP"
)
DURABILITY = (
    "job, task, result, attempt, usage and events committed in PostgreSQL with fsync; a dead "
    "agent's tasks run again within the lease (15 s), and what it settles late is fenced off"
)


@dataclass
class Fabric:
    """A running fabric and a client of it."""

    url: str
    pid: int
    folder: Path
    client: Client

    @property
    def roots(self) -> Roots:
        """The processes whose processor time it uses: all of it, and its client."""
        return {"fabric": [self.pid], "producer": [os.getpid()]}

    @property
    def agents(self) -> list[int]:
        """The agents' processes."""
        return [process.pid for process in tree(self.pid) if "workeragent" in command(process)]


@contextmanager
def fabric(slots: int, *, agents: int = AGENTS, witness: bool = False) -> Iterator[Fabric]:
    """A fabric of its own, warmed up, until the block ends.

    ``witness`` allows the kind of that name, which notes the moment at which a task runs.
    """
    with tempfile.TemporaryDirectory(prefix="daef-bench-") as data:
        # Root's PostgreSQL runs as nobody, who must be able to pass through.
        os.chmod(data, 0o711)
        variables = environment(data) | ({"DAEF_TEST_KINDS": "1"} if witness else {})
        with (
            started(variables, "--agents", str(agents), "--slots", str(slots)) as running,
            Client(running.url, retry_seconds=60) as client,
        ):
            assert running.process is not None
            found = Fabric(running.url, running.process.pid, Path(data), client)
            if agents:
                run(found, 1_000)
            time.sleep(0.5)
            yield found


def batch(tasks: range, milliseconds: int = 0, **more: Any) -> dict[str, Any]:
    """A job of echo tasks."""
    parameters = {"parameters": {"sleep_ms": milliseconds}} if milliseconds else {}
    requests = [
        {"custom_id": f"r-{n}", "kind": "echo", "input": {"x": n}, **parameters} for n in tasks
    ]
    return {"type": "batch", "requests": requests, **more}


def run(on: Fabric, tasks: int, milliseconds: int = 0) -> tuple[float, list[str]]:
    """Seconds from the first submission until the last job was seen to have ended; the jobs.

    So every result is committed by then.
    """
    numbers = range(tasks)
    began = time.monotonic()
    jobs = [
        on.client.jobs.submit(batch(numbers[start : start + CHUNK], milliseconds))["id"]
        for start in range(0, tasks, CHUNK)
    ]
    await_ends(on, jobs)
    return time.monotonic() - began, jobs


def await_ends(on: Fabric, jobs: list[str], seconds: float = 600.0) -> None:
    """Return once all of them have ended; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    for job in jobs:
        while on.client.jobs.get(job)["status"] not in JOB_ENDS:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job} did not end within {seconds:g} s")
            time.sleep(0.02)


def check(on: Fabric, jobs: list[str], tasks: int) -> None:
    """Read every result and compare it; raises RuntimeError when one is missing or wrong."""
    right = 0
    for job in jobs:
        for line in on.client.jobs.results(job):
            told = msgspec.json.decode(line)
            right += told["status"] == "Succeeded" and told["result"] == {"x": right}
    if right != tasks:
        raise RuntimeError(f"{tasks - right} of {tasks} results are missing or wrong")


def single(milliseconds: int = 0, kind: str = "echo", priority: str = "standard") -> bytes:
    """The body of a job of one task."""
    request = {"custom_id": "r", "kind": kind, "input": {"x": 1}}
    return as_json({"type": "batch", "requests": [request], "priority": priority})


def single_submissions(on: Fabric, count: int, connections: int, *, paused: bool) -> float:
    """Jobs of one task accepted a second, their agents at work or ``paused`` meanwhile."""
    with stopped(on.agents if paused else []):
        took = post_all(on.url, "/v1/jobs", [single()] * count, connections)
    _await_idle(on)
    return count / took


def _await_idle(on: Fabric, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while any(on.client.jobs.list(status=s, limit=1)["items"] for s in ("Pending", "Running")):
        if time.monotonic() > deadline:
            raise TimeoutError("the submitted jobs did not end")
        time.sleep(0.05)


def pickups(on: Fabric, count: int) -> list[float]:
    """Seconds from the start of a submission over HTTP to the moment its task ran.

    The fabric is idle; it needs the kind `witness`, which notes that moment first of all.
    """
    path = on.folder / "executions.jsonl"
    connection, submitted = Connection(on.url), []
    body = single(kind="witness")
    for _ in range(count):
        submitted.append(time.monotonic())
        connection.post("/v1/jobs", body)
        job = json.loads(connection.wait(201))["id"]
        _ended(connection, job)
    connection.close()
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ran = [line["at"] for line in lines if line["said"] == "started"]
    return [at - began for at, began in zip(ran, submitted, strict=True)]


def _ended(connection: Connection, job: str, seconds: float = 60.0) -> dict[str, Any]:
    """The job once it has succeeded; asked for seldom, and after a pause for the agents."""
    deadline = time.monotonic() + seconds
    while True:
        time.sleep(PAUSE_SECONDS)
        found: dict[str, Any] = json.loads(connection.get(f"/v1/jobs/{job}"))
        if found["status"] in JOB_ENDS:
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job} did not end within {seconds:g} s")
    if found["status"] != "Succeeded":
        raise RuntimeError(f"{job} ended as {found['status']}")
    return found


def interactive(on: Fabric, count: int) -> list[float]:
    """Seconds from the start of a submission over HTTP until its result was settled.

    The end is the job's ``finished_at``, the database's clock on this machine: nobody has to ask
    again and again, which would be load of its own. The commit that follows is not in it.
    """
    connection, found = Connection(on.url), []
    body = single(priority="interactive")
    for _ in range(count):
        began = datetime.now(UTC)
        connection.post("/v1/jobs", body)
        job = _ended(connection, json.loads(connection.wait(201))["id"])
        found.append((datetime.fromisoformat(job["finished_at"]) - began).total_seconds())
    connection.close()
    return found


def interactive_beside_backlog(on: Fabric, count: int, backlog: int) -> list[float]:
    """The same while 20 ms tasks keep every slot busy and so many more wait."""
    numbers = range(backlog)
    jobs = [
        on.client.jobs.submit(batch(numbers[start : start + CHUNK], 20, priority="batch"))["id"]
        for start in range(0, backlog, CHUNK)
    ]
    time.sleep(2)
    found = interactive(on, count)
    if on.client.jobs.get(jobs[-1])["status"] in JOB_ENDS:
        raise RuntimeError("the backlog was gone before the measurement ended; make it larger")
    for job in jobs:
        on.client.jobs.cancel(job)
    return found
