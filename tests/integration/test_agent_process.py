"""The agent as a process: signals, sudden death, and what it says when it cannot start."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from daef_site.ports import free_port
from proto.daef.v1 import worker_pb2
from tests.integration.agent_control_plane import TOKEN, FakeControlPlane, until

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def control_plane() -> Iterator[FakeControlPlane]:
    fake = FakeControlPlane()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def start(control_plane) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(**settings: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DAEF_")}
        named = {
            "DAEF_CONTROL_PLANE": f"127.0.0.1:{control_plane.port}",
            "DAEF_AGENT_TOKEN": TOKEN,
            "DAEF_SLOTS": "2",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "workeragent"],
            cwd=REPOSITORY,
            env={**inherited, **named, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def long_task_running(control_plane) -> int:
    [task] = control_plane.add(parameters={"sleep_ms": 60_000})
    until(lambda: control_plane.last_held)
    return task


def test_sigterm_lets_the_running_task_finish_and_the_agent_leaves_with_status_zero(
    control_plane, start
):
    agent = start()
    [task] = control_plane.add(parameters={"sleep_ms": 1_000})
    until(lambda: control_plane.last_held)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 0
    assert control_plane.outcomes(task)[0].kind == worker_pb2.OUTCOME_KIND_SUCCEEDED
    assert control_plane.deregistered == [1]


def test_probes_are_answered_until_the_agent_leaves(control_plane, start):
    port = free_port()
    agent = start(DAEF_PROBE_ADDR=f"127.0.0.1:{port}")
    until(lambda: probe(port, "readyz") == 200)
    assert probe(port, "healthz") == 200
    long_task_running(control_plane)
    agent.send_signal(signal.SIGTERM)
    until(lambda: probe(port, "readyz") == 503)
    assert probe(port, "healthz") == 200


def test_a_taken_probe_port_is_named(control_plane, start):
    agent = start(DAEF_PROBE_ADDR=f"127.0.0.1:{control_plane.port}")
    assert agent.wait(10) == 1
    assert f"DAEF_PROBE_ADDR: cannot listen on 127.0.0.1:{control_plane.port}" in (
        agent.stderr.read()
    )


def probe(port: int, name: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/{name}").status_code
    except httpx.TransportError:
        return 0


def test_a_second_signal_ends_the_agent_and_its_runner_at_once(control_plane, start):
    agent = start()
    task = long_task_running(control_plane)
    children = psutil.Process(agent.pid).children(recursive=True)
    agent.send_signal(signal.SIGINT)
    # A drain is under way once the agent holds a task and does not claim the next one.
    until(lambda: b"draining" in os.read(agent.stderr.fileno(), 65536))
    agent.send_signal(signal.SIGINT)
    assert agent.wait(5) == 130
    psutil.wait_procs(children, timeout=5)
    assert not [child for child in children if child.is_running()]
    assert control_plane.outcomes(task) == []


def test_an_agent_that_is_killed_leaves_no_process_behind(control_plane, start):
    agent = start()
    long_task_running(control_plane)
    children = psutil.Process(agent.pid).children(recursive=True)
    assert children
    agent.kill()
    agent.wait(5)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_a_runner_whose_task_holds_the_interpreter_dies_with_its_agent(control_plane, start):
    agent = start(DAEF_TEST_KINDS="1")
    control_plane.add("spin", parameters={"alone": True})
    until(lambda: control_plane.last_held)
    children = psutil.Process(agent.pid).children(recursive=True)
    until(lambda: any(child.cpu_times().user > 1 for child in children))
    agent.kill()
    agent.wait(5)
    _, alive = psutil.wait_procs(children, timeout=5)
    for child in alive:
        child.kill()
    assert alive == []


def test_an_agent_that_waits_for_a_fabric_leaves_when_told_to(start, tmp_path):
    agent = start(DAEF_CONTROL_PLANE="", DAEF_DATA_DIR=str(tmp_path))
    assert "Waiting up to 30 s" in agent.stdout.readline()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(5) == 0


def test_a_wrong_token_is_refused_with_the_variable_named(start):
    agent = start(DAEF_AGENT_TOKEN="wrong")
    _, said = agent.communicate(timeout=10)
    assert agent.returncode == 1
    assert "DAEF_AGENT_TOKEN" in said
    assert "Traceback" not in said


def test_a_senseless_setting_is_refused_with_the_variable_named(start):
    agent = start(DAEF_SLOTS="none")
    _, said = agent.communicate(timeout=10)
    assert agent.returncode == 1
    assert said.strip() == "daef agent: DAEF_SLOTS must be a whole number from 1 to 1024."


def test_a_drained_agent_finishes_its_task_takes_no_other_and_leaves_with_status_zero(
    control_plane, start
):
    agent = start(DAEF_SLOTS="1")
    [task] = control_plane.add(parameters={"sleep_ms": 1_000})
    until(lambda: control_plane.last_held)
    control_plane.drain = True
    [late] = control_plane.add()
    assert agent.wait(15) == 0
    assert control_plane.outcomes(task)[0].kind == worker_pb2.OUTCOME_KIND_SUCCEEDED
    assert control_plane.outcomes(late) == []
    assert control_plane.deregistered == [1]
