import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.acceptance.fabrics import RunningFabric, wait_until

pytestmark = pytest.mark.timeout(120)
GATEWAY = ("gateway", "--http-only")


@pytest.fixture(scope="module")
def folder(make_folder: Callable[[], Path]) -> Path:
    """A folder below which root's PostgreSQL can stand."""
    return make_folder()


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[RunningFabric]:
    """One fabric that the tests of this module share; it must survive each of them."""
    fabric = RunningFabric(folder / "shared", *GATEWAY)
    try:
        yield fabric.wait_ready()
    finally:
        fabric.end()


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., RunningFabric]]:
    """Starts a fabric or a command beside it; whatever still runs at the end is ended."""
    started: list[RunningFabric] = []

    def start_one(name: str, *command: str, **variables: str) -> RunningFabric:
        started.append(RunningFabric(folder / name, *(command or GATEWAY), **variables))
        return started[-1]

    yield start_one
    for each in started:
        each.end()


def kill(fabric: RunningFabric, words: str) -> None:
    process = fabric.process_named(words)
    assert process is not None
    process.kill()


def test_health_is_answered_without_a_token(running: RunningFabric):
    answer = httpx.get(f"http://{running.http}/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_the_description_is_for_its_owner_only(running: RunningFabric):
    for name in ("fabric.json", "secret_key"):
        assert (running.data / name).stat().st_mode & 0o777 == 0o600


def test_no_password_stands_on_a_command_line(running: RunningFabric):
    facts = running.facts()
    passwords = {
        url.split("@")[0].rpartition(":")[2] for url in (facts.postgres_dsn, facts.redis_url)
    }
    lines = " ".join(" ".join(process.cmdline()) for process in running.processes())
    assert not any(password in lines for password in {*passwords, facts.agent_token})


def test_up_refuses_a_folder_that_is_held_and_says_by_whom(running: RunningFabric, start):
    second = start("shared", "up")
    assert second.process.wait(30) == 1
    assert f"pid {running.process.pid}" in second.said()


def test_a_second_gateway_joins_and_both_answer(running: RunningFabric, start):
    second = start("shared").wait_ready()
    assert "joins pid" in second.said()
    before = health_answers(running)
    for _ in range(5):
        httpx.get(f"http://{second.http}/healthz")
    wait_until(lambda: health_answers(running) >= before + 5)
    assert second.end() == 0
    assert running.ready()
    assert health_answers(running) >= before + 5


def health_answers(fabric: RunningFabric) -> float:
    """How often any gateway answered ``/healthz``, as this one tells it."""
    text = httpx.get(f"http://{fabric.http}/v1/metrics/prometheus", timeout=30).text
    name = "django_http_responses_total_by_status_view_method_total"
    lines = [line for line in text.split("\n") if line.startswith(name) and "healthz" in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_a_taken_port_is_named_with_its_holder(running: RunningFabric, start):
    second = start("other", DAEF_HTTP_ADDR=running.http)
    assert second.process.wait(30) == 1
    assert running.http in second.said()
    assert "granian" in second.said()
    assert "DAEF_HTTP_ADDR" in second.said()


def test_a_killed_store_is_started_again(running: RunningFabric):
    kill(running, "bin/postgres -D")
    wait_until(lambda: "postgres      was killed by SIGKILL; starts again" in running.said())
    wait_until(running.ready)


def test_a_killed_gateway_is_started_again(running: RunningFabric):
    kill(running, "granian")
    wait_until(lambda: "gateway       was killed by SIGKILL; starts again" in running.said())
    wait_until(running.ready)


def test_an_address_others_can_reach_is_refused_without_tokens(start):
    open_one = start("open", DAEF_HTTP_ADDR="0.0.0.0:20555")
    assert open_one.process.wait(30) == 2
    assert "DAEF_API_TOKENS" in open_one.said()


def test_two_fabrics_run_side_by_side_and_sigterm_leaves_nothing(running: RunningFabric, start):
    second = start("second").wait_ready()
    assert running.ready()
    assert second.facts().postgres_dsn != running.facts().postgres_dsn
    assert second.end(signal.SIGTERM) == 0
    assert second.processes() == []
    assert not (second.data / "fabric.json").exists()
    assert not (second.data / "postgres-memory").exists()
    assert "private data removed" in second.said()


def test_kill_9_of_the_supervisor_leaves_no_process_and_no_lost_row(start):
    stores = {"DAEF_STORE": "embedded", "DAEF_QUEUE": "embedded"}
    first = start("kept", **stores).wait_ready()
    with psycopg.connect(first.facts().postgres_dsn) as session:
        session.execute("create table kept as select 1 as n")
    first.end(signal.SIGKILL)
    wait_until(lambda: not first.processes(), 10)
    second = start("kept", **stores).wait_ready()
    with psycopg.connect(second.facts().postgres_dsn) as session:
        assert session.execute("select n from kept").fetchone() == (1,)
    second.end(signal.SIGINT)
    assert second.processes() == []


def test_kill_9_of_a_whole_fabric_leaves_no_process(start):
    whole = start("whole", "up", "--slots", "1").wait_ready()
    wait_until(lambda: "ready         API" in whole.said(), 60)
    assert whole.process_named("workeragent")
    assert whole.process_named("controlplane")
    whole.end(signal.SIGKILL)
    wait_until(lambda: not whole.processes(), 10)


def test_sigterm_in_the_middle_of_the_start_leaves_nothing(start):
    early = start("early")
    wait_until(lambda: early.process_named("bin/postgres -D"))
    assert early.end(signal.SIGTERM) == 0
    assert early.processes() == []


@pytest.mark.parametrize("command", ["controlplane", "showmigrations"])
def test_a_command_without_a_store_says_how_to_get_one(start, command: str):
    lost = start("lost", command)
    assert lost.process.wait(30) == 2
    for remedy in ("make up", "DAEF_STORE", "DAEF_POSTGRES_DSN"):
        assert remedy in lost.said()


@pytest.fixture(scope="module")
def whole(folder: Path) -> Iterator[RunningFabric]:
    """A fabric with two agents; the module's last test ends it."""
    fabric = RunningFabric(
        folder / "agents", "up", "--agents", "2", "--slots", "1", DAEF_SECRET_KEY="x" * 40
    )
    try:
        wait_until(lambda: "agent 2       ready" in fabric.wait_ready().said(), 90)
        yield fabric
    finally:
        fabric.end()


def test_agents_do_not_get_the_control_planes_secrets(whole: RunningFabric):
    agent = whole.process_named("workeragent")
    assert agent is not None
    assert "DAEF_SECRET_KEY" not in agent.environ()
    assert agent.environ()["DAEF_SLOTS"] == "1"


def test_ctrl_c_ends_a_whole_fabric_in_order(whole: RunningFabric):
    assert whole.end(signal.SIGINT) == 0
    assert "agent 2 · agent 1 · gateway · control plane · redis · postgres" in whole.said()
    assert whole.processes() == []
