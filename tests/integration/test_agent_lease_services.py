"""Artifacts and log lines under a lease, over the real protocol."""

import os
from collections.abc import Iterator

import pytest

from proto.daef.v1 import worker_pb2
from tests.integration.agent_control_plane import TOKEN, FakeControlPlane, free_port
from workeragent import client
from workeragent.config import Transport
from workeragent.executors.context import Task
from workeragent.lease_services import LeaseServices
from workeragent.outcome import PermanentError, TransientError

TASK = Task(7, 1, "t", "echo", 1, 1, None, {}, "", -1)


@pytest.fixture
def control_plane() -> Iterator[FakeControlPlane]:
    fake = FakeControlPlane()
    fake.start()
    fake.registered.append(worker_pb2.RegisterRequest())
    yield fake
    fake.stop()


@pytest.fixture
def services(control_plane) -> LeaseServices:
    return LeaseServices(Transport(f"127.0.0.1:{control_plane.port}", TOKEN), worker_id=1)


def test_an_artifact_of_many_chunks_comes_back_as_it_was_written(services):
    data = os.urandom(3 * client.CHUNK_BYTES + 17)
    sha256 = services.write_artifact(TASK, data, "application/octet-stream")
    assert services.read_artifact(TASK, sha256) == data


def test_an_empty_artifact_can_be_written(services):
    assert services.read_artifact(TASK, services.write_artifact(TASK, b"", "text/plain")) == b""


def test_an_artifact_that_is_not_there_fails_the_task_for_good(services):
    with pytest.raises(PermanentError, match="NOT_FOUND") as caught:
        services.read_artifact(TASK, "nothing")
    assert caught.value.code == "artifact_unreadable"


def test_a_control_plane_that_does_not_answer_is_a_passing_failure(monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.01, 0.01))
    services = LeaseServices(Transport(f"127.0.0.1:{free_port()}", TOKEN), worker_id=1)
    with pytest.raises(TransientError):
        services.read_artifact(TASK, "input")


def test_log_lines_of_a_task_are_sent_before_its_outcome_and_others_wait(services, control_plane):
    services.log(TASK, "first \ud800\0")
    services.flush(task_id=8)
    assert control_plane.log_lines == []
    services.flush(task_id=7)
    assert [line.text for line in control_plane.log_lines] == ["first ?"]
