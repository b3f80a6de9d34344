"""A new version migrates the database of an old one at work; nobody sees more of it than that."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from daef_site import stores
from tests.acceptance.fabrics import RunningFabric, wait_until
from tests.mutants.trial import copy_tree

pytestmark = pytest.mark.timeout(240)

TASKS = 8
HELD_SECONDS = 2.5

ADDS = """
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "{before}")]

    operations = [
        migrations.CreateModel("Next", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("Task", "note", models.TextField(null=True)),
        migrations.AddField("Job", "shade", models.TextField(db_default="grey")),
        migrations.AddField("Worker", "zone", models.TextField(db_default="")),
        AddConstraintNotValid(
            "Task", models.CheckConstraint(condition=~models.Q(note=""), name="task_note_said")
        ),
    ]
"""

BUILDS = """
from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("jobs", "9000_adds")]

    operations = [
        AddIndexConcurrently("Attempt", models.Index(fields=["owner"], name="attempt_owner")),
        ValidateConstraint("Task", "task_note_said"),
    ]
"""


@pytest.fixture
def data(make_folder: Callable[[], Path]) -> Path:
    return make_folder()


@pytest.fixture
def settings(data: Path) -> Iterator[dict[str, str]]:
    """What both versions are told: stores of their own, durable ones."""
    postgres = stores.Postgres(data, keep=True)
    redis = stores.Redis(data, keep=False)
    try:
        stores.start(redis)
        stores.start(postgres)
        yield {
            "DAEF_STORE": "postgres",
            "DAEF_POSTGRES_DSN": postgres.dsn,
            "DAEF_QUEUE": "redis",
            "DAEF_REDIS_ADDR": redis.url,
            "DAEF_REDIS_AGENT_URL": redis.agent_url,
            "DAEF_LEASE_SECONDS": "2",
            "DAEF_SECRET_KEY": "k" * 40,
        }
    finally:
        postgres.stop()
        redis.stop()


@pytest.fixture
def start(data: Path, settings: dict[str, str]) -> Iterator[Callable[..., RunningFabric]]:
    """Starts a fabric of a source tree; what still runs at the end is ended before the stores."""
    started: list[RunningFabric] = []

    def start_one(name: str, *command: str, tree: Path = RunningFabric.tree) -> RunningFabric:
        class Version(RunningFabric):
            pass

        Version.tree = tree
        started.append(Version(data / name, *command, **settings))
        return started[-1]

    yield start_one
    for each in started:
        each.end()


@pytest.fixture
def next_version(data: Path) -> Path:
    """The source tree with two migrations more."""
    tree = copy_tree(data / "next")
    migrations = tree / "jobs" / "migrations"
    before = max(path.stem for path in migrations.glob("0*.py"))
    (migrations / "9000_adds.py").write_text(ADDS.format(before=before))
    (migrations / "9001_builds.py").write_text(BUILDS)
    return tree


class Load(threading.Thread):
    """Submits small jobs and reads them, one gateway after the other, until told to stop."""

    def __init__(self, *gateways: str) -> None:
        super().__init__(daemon=True)
        self.gateways = list(gateways)
        self.jobs: list[str] = []
        self.answers: Counter[int] = Counter()
        self.stop = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=20) as client:
            turn = 0
            while not self.stop.wait(0.15):
                turn += 1
                try:
                    self._call(client, self.gateways[turn % len(self.gateways)])
                except Exception as error:
                    self.errors.append(repr(error))

    def _call(self, client: httpx.Client, gateway: str) -> None:
        requests = [
            {
                "custom_id": f"r-{number}",
                "kind": "echo",
                "input": number,
                "parameters": {"sleep_ms": 20},
            }
            for number in range(TASKS)
        ]
        body = {"type": "batch", "requests": requests, "labels": {"from": "load"}}
        made = client.post(f"http://{gateway}/v1/jobs", json=body)
        self.answers[made.status_code] += 1
        if made.status_code == 201:
            self.jobs.append(made.json()["id"])
        for path in ("jobs?limit=5", f"jobs/{self.jobs[0]}", f"jobs/{self.jobs[-1]}/tasks"):
            self.answers[client.get(f"http://{gateway}/v1/{path}").status_code] += 1


def finished(fabric: RunningFabric, job: str) -> dict[str, Any] | None:
    document: dict[str, Any] = httpx.get(f"http://{fabric.http}/v1/jobs/{job}").json()
    return document if document["finished_at"] else None


def rows(settings: dict[str, str], statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings["DAEF_POSTGRES_DSN"]) as session:
        return session.execute(statement).fetchall()


def tracebacks(folder: Path) -> list[str]:
    return [
        f"{log.name}: {line}"
        for log in (folder / "logs").glob("*.log")
        for line in log.read_text(errors="replace").splitlines()
        if line.startswith("Traceback") or " ERROR " in line
    ]


def test_a_new_version_migrates_while_the_old_one_works(
    start: Callable[..., RunningFabric], settings: dict[str, str], next_version: Path
):
    old = start("old", "up", "--slots", "4").wait_ready()
    load = Load(old.http)
    try:
        load.start()
        wait_until(lambda: len(load.jobs) > 10)
        with psycopg.connect(settings["DAEF_POSTGRES_DSN"]) as session:
            # Whoever reads for long is waited for, and nobody waits for whoever waits.
            session.execute("select (select count(*) from task), (select count(*) from job)")
            new = start("new", "gateway", tree=next_version)
            wait_until(lambda: "postgres      answers" in new.said())
            time.sleep(HELD_SECONDS)
            assert rows(settings, "select 1 from django_migrations where name = '9000_adds'") == []
        new.wait_ready(90)
        assert rows(
            settings, "select indisvalid from pg_index where indexrelid = 'attempt_owner'::regclass"
        ) == [(True,)]
        assert old.ready()
        load.gateways.append(new.http)

        control_plane = old.process_named("manage.py controlplane")
        assert control_plane is not None
        control_plane.send_signal(signal.SIGKILL)
        wait_until(lambda: len(load.jobs) > 30 and old.process_named("manage.py controlplane"))
        count = len(load.jobs)
        wait_until(lambda: len(load.jobs) > count + 10)
    finally:
        load.stop.set()
        load.join(30)
    assert load.errors == []
    assert set(load.answers) == {200, 201}, load.answers
    for job in load.jobs:
        document = wait_until(partial(finished, old, job), 60)
        assert document["status"] == "Succeeded", document
        lines = httpx.get(f"http://{new.http}/v1/jobs/{job}/results").text.splitlines()
        assert [json.loads(line)["result"] for line in lines] == list(range(TASKS))
    assert rows(settings, "select distinct shade from job") == [("grey",)]
    assert "added jobs.9001_builds" in (old.data / "logs" / "control-plane.log").read_text()
    assert "warning" not in old.said() + new.said()
    verified = start("verified", "verify")
    assert verified.process.wait(60) == 0, verified.said()
    assert tracebacks(old.data) + tracebacks(new.data) == []
    assert new.end() == 0
    assert old.end() == 0
