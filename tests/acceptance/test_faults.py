"""A whole fabric, and its parts killed in the middle of work: every job ends right."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.acceptance.fabrics import RunningFabric, wait_until

pytestmark = pytest.mark.timeout(180)

TASKS = 40
SLEEP_MILLISECONDS = 250
SLOTS = 4
LEASE_SECONDS = 1.0


@pytest.fixture(scope="module")
def fabric(make_folder: Callable[[], Path]) -> Iterator[RunningFabric]:
    """One fabric with one agent of four slots and short leases."""
    running = RunningFabric(
        make_folder() / "faults",
        "up",
        "--slots",
        str(SLOTS),
        DAEF_LEASE_SECONDS=str(LEASE_SECONDS),
    )
    try:
        yield running.wait_ready()
    finally:
        running.end()


class Job:
    """A job of slow echo tasks, seen through the public API."""

    def __init__(self, fabric: RunningFabric) -> None:
        self._fabric = fabric
        requests = [
            {
                "custom_id": f"r-{number}",
                "kind": "echo",
                "input": number,
                "parameters": {"sleep_ms": SLEEP_MILLISECONDS},
            }
            for number in range(TASKS)
        ]
        body = {"type": "batch", "requests": requests, "max_attempts": 5}
        answer = httpx.post(f"http://{fabric.http}/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]

    def get(self, path: str = "") -> httpx.Response:
        """GET the job or something below it."""
        return httpx.get(f"http://{self._fabric.http}/v1/jobs/{self.id}{path}", timeout=10)

    def document(self) -> dict[str, Any]:
        """The job; {} while the gateway cannot answer."""
        try:
            answer = self.get()
        except httpx.HTTPError:
            return {}
        return answer.json() if answer.status_code == 200 else {}

    def wait_in_the_middle(self) -> None:
        """Wait until tasks run, some have ended and some still wait."""

        def in_the_middle() -> bool:
            progress = self.document().get("progress", {})
            return bool(
                progress.get("running") and progress["succeeded"] >= SLOTS and progress["queued"]
            )

        wait_until(in_the_middle)

    def wait_for_end(self, seconds: float = 60) -> dict[str, Any]:
        """The job's document once it has ended."""
        wait_until(lambda: self.document().get("finished_at"), seconds)
        return self.document()

    def assert_whole(self) -> None:
        """It succeeded with each result once, in input order."""
        document = self.wait_for_end()
        assert document["status"] == "Succeeded", document
        lines = [json.loads(line) for line in self.get("/results").text.splitlines()]
        assert [line["name"] for line in lines] == [f"r-{n}" for n in range(TASKS)]
        assert [line["result"] for line in lines] == list(range(TASKS))


def rows(fabric: RunningFabric, statement: str) -> list[tuple[Any, ...]]:
    """Ask the fabric's own database."""
    with psycopg.connect(fabric.facts().postgres_dsn) as connection:
        return connection.execute(statement).fetchall()


def lost_shares(fabric: RunningFabric, job: Job) -> list[tuple[Any, ...]]:
    """Attempts of the job that ended because their worker was lost."""
    number = int(job.id.removeprefix("job-"))
    return rows(
        fabric,
        f"select task_id, epoch from attempt where outcome = 'Lost' and task_id >> 20 = {number}",
    )


def test_a_job_survives_the_kill_of_its_agent(fabric: RunningFabric):
    job = Job(fabric)
    job.wait_in_the_middle()
    agent = fabric.process_named("workeragent")
    assert agent is not None
    runners = agent.children(recursive=True)
    agent.kill()
    killed = time.monotonic()
    wait_until(lambda: lost_shares(fabric, job))
    assert time.monotonic() - killed < LEASE_SECONDS + 2
    job.assert_whole()
    assert lost_shares(fabric, job), "the kill hit no running task"
    assert not any(runner.is_running() for runner in runners)


def test_a_job_survives_an_emptied_redis(fabric: RunningFabric):
    job = Job(fabric)
    job.wait_in_the_middle()
    running = job.document()["progress"]["running"]
    redis.Redis.from_url(fabric.facts().redis_url).flushall()
    assert running > 0
    job.assert_whole()


def test_work_submitted_into_an_emptied_redis_is_driven_within_seconds(fabric: RunningFabric):
    redis.Redis.from_url(fabric.facts().redis_url).flushall()
    began = time.monotonic()
    job = Job(fabric)
    wait_until(lambda: job.document()["progress"]["running"], 5)
    assert time.monotonic() - began < 5
    job.assert_whole()


def test_a_job_survives_the_kill_of_the_control_plane(fabric: RunningFabric):
    job = Job(fabric)
    job.wait_in_the_middle()
    control_plane = fabric.process_named("manage.py controlplane")
    assert control_plane is not None
    assert job.document()["progress"]["running"] > 0
    control_plane.kill()
    job.assert_whole()


def test_a_job_survives_the_kill_of_postgres(fabric: RunningFabric):
    job = Job(fabric)
    job.wait_in_the_middle()
    postgres = fabric.process_named("bin/postgres -D")
    assert postgres is not None
    assert job.document()["progress"]["running"] > 0
    postgres.kill()
    job.assert_whole()


def test_a_task_that_kills_its_runner_runs_exactly_max_attempts_times(
    make_folder: Callable[[], Path],
):
    running = RunningFabric(
        make_folder() / "poison", "up", "--slots", "2", DAEF_TEST_KINDS="1", DAEF_LEASE_SECONDS="1"
    )
    try:
        running.wait_ready()
        requests: list[dict[str, Any]] = [{"custom_id": "poison", "kind": "exit", "input": None}]
        requests += [{"custom_id": f"r-{n}", "kind": "echo", "input": n} for n in range(20)]
        body = {"type": "batch", "requests": requests, "max_attempts": 3}
        job = httpx.post(f"http://{running.http}/v1/jobs", json=body).json()["id"]

        def ended() -> dict[str, Any] | None:
            document = httpx.get(f"http://{running.http}/v1/jobs/{job}").json()
            return document if document["finished_at"] else None

        document = wait_until(ended, 60)
        assert document["status"] == "PartiallySucceeded", document
        assert document["progress"]["succeeded"] == 20
        attempts = rows(running, "select count(*) from attempt where task_id = 1 << 20 | 1")
        assert attempts == [(3,)]
        neighbours = rows(running, "select max(attempt) from task where id <> 1 << 20 | 1")
        assert neighbours[0][0] <= 2
    finally:
        running.end()


def test_nothing_is_left_when_the_supervisor_is_killed(make_folder: Callable[[], Path]):
    running = RunningFabric(make_folder() / "killed", "up", "--slots", "1").wait_ready()
    wait_until(lambda: running.process_named("workeragent"))
    os.kill(running.process.pid, 9)
    running.process.wait(10)
    wait_until(lambda: running.processes() == [], 20)
