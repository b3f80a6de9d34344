"""The drill: a backup in the middle of work, newer work, the backup put back, and no harm."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.acceptance.fabrics import ROOT, RunningFabric, wait_until

pytestmark = pytest.mark.timeout(240)

SETTINGS = {
    "DAEF_STORE": "embedded",
    "DAEF_QUEUE": "embedded",
    "DAEF_LEASE_SECONDS": "1",
    "DAEF_AGENT_TOKEN": "an-agent-of-the-drill",
}
TASKS = 12


class Drill:
    """A gateway that is stopped and started, and agents that live on meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.dump = folder / "daef.dump"
        self.agents: list[subprocess.Popen[bytes]] = []
        self.gateway = RunningFabric(self.data, "gateway", **SETTINGS).wait_ready()

    def start_again(self) -> None:
        """The same gateway, at the same addresses."""
        addresses = {"DAEF_HTTP_ADDR": self.gateway.http, "DAEF_GRPC_ADDR": self.gateway.grpc}
        again = RunningFabric(self.data, "gateway", **SETTINGS, **addresses)
        again.http, again.grpc = self.gateway.http, self.gateway.grpc
        self.gateway = again.wait_ready()

    def start_agent(self) -> None:
        """An agent that is no child of the gateway."""
        environment = self.gateway.environment | {
            "DAEF_CONTROL_PLANE": self.gateway.grpc,
            "DAEF_SLOTS": "3",
        }
        with (self.data.parent / "agents.out").open("ab") as output:
            self.agents.append(
                subprocess.Popen(
                    [sys.executable, "-m", "workeragent"],
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )

    def submit(self, word: str, milliseconds: int) -> str:
        """A job of slow tasks that each answer the word and their number."""
        requests = [
            {
                "custom_id": f"r-{number}",
                "kind": "echo",
                "input": f"{word} {number}",
                "parameters": {"sleep_ms": milliseconds},
            }
            for number in range(TASKS)
        ]
        body = {"type": "batch", "requests": requests}
        answer = httpx.post(f"http://{self.gateway.http}/v1/jobs", json=body, timeout=10)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> dict[str, Any]:
        """The job's document."""
        document: dict[str, Any] = self.get(f"/v1/jobs/{job}").json()
        return document

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.gateway.http}{path}", timeout=10)

    def results(self, job: str) -> list[str]:
        """What its tasks answered, once it has ended well."""
        document = wait_until(lambda: (d := self.job(job))["finished_at"] and d, 60)
        assert document["status"] == "Succeeded", document
        text = self.get(f"/v1/jobs/{job}/results").text
        return [json.loads(line)["result"] for line in text.splitlines()]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of manage.py, ended."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.gateway.environment,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def workers(self, state: str) -> int:
        with psycopg.connect(self.gateway.facts().postgres_dsn) as session:
            statement = "select count(*) from worker where state = %s"
            return int(session.execute(statement, [state]).fetchall()[0][0])

    def end(self) -> None:
        for agent in self.agents:
            agent.kill()
            agent.wait()
        self.gateway.end()


@pytest.fixture
def drill(make_folder: Callable[[], Path]) -> Iterator[Drill]:
    drill = Drill(make_folder())
    try:
        yield drill
    finally:
        drill.end()


def in_the_middle(progress: dict[str, int]) -> bool:
    return bool(progress["succeeded"] and progress["running"] and progress["queued"])


def test_an_older_database_with_newer_tickets_and_agents_does_no_harm(drill: Drill):
    drill.start_agent()
    kept = drill.submit("kept", 400)
    wait_until(lambda: in_the_middle(drill.job(kept)["progress"]))
    assert drill.command("backup", str(drill.dump)).returncode == 0
    assert drill.dump.stat().st_mode & 0o777 == 0o600

    drill.start_agent()
    lost = drill.submit("lost", 60_000)
    httpx.post(f"http://{drill.gateway.http}/v1/jobs/{drill.submit('gone', 0)}/cancel", timeout=10)
    head = drill.command("audit_verify").stdout.split()[-1]
    wait_until(lambda: drill.workers("Active") == 2)
    wait_until(lambda: drill.job(lost)["progress"]["running"] >= 3, 60)
    assert drill.gateway.end(signal.SIGTERM) == 0

    restored = drill.command("restore", str(drill.dump), "--replace")
    assert restored.returncode == 0, restored.stderr
    assert "1 workers have to register anew" in restored.stdout

    drill.start_again()
    tickets = redis.Redis.from_url(drill.gateway.facts().redis_url)
    assert tickets.keys("rq:*"), "no ticket is newer than the database"
    fresh = drill.submit("fresh", 0)
    assert int(fresh[4:]) > int(lost[4:]) + 1_000
    assert drill.get(f"/v1/jobs/{lost}").status_code == 404
    assert drill.results(kept) == [f"kept {number}" for number in range(TASKS)]
    assert drill.results(fresh) == [f"fresh {number}" for number in range(TASKS)]

    wait_until(lambda: drill.workers("Active") == 2)
    assert drill.command("verify").returncode == 0
    went_back = drill.command("audit_verify", "--head", head)
    assert went_back.returncode == 1
    assert drill.command("audit_verify").returncode == 0
