"""What executors do to their runner: memory, crashes, endless loops, results without measure."""

import json

import pytest

from proto.daef.v1 import worker_pb2
from tests.integration.agent_control_plane import FakeControlPlane, until
from tests.integration.test_agent_session import FAILED, RELEASED, SUCCEEDED, control_plane, joined
from workeragent import runners

__all__ = ["control_plane"]


def outcome_of(fake: FakeControlPlane, task: int) -> worker_pb2.Outcome:
    """The task's one outcome, waited for."""
    until(lambda: fake.outcomes(task))
    [outcome] = fake.outcomes(task)
    return outcome


def test_a_task_that_reads_where_no_memory_is_is_lost_with_its_runner(control_plane):
    with joined(control_plane):
        [crash] = control_plane.add("segfault")
        assert outcome_of(control_plane, crash).error_code == "worker_lost"
        [after] = control_plane.add()
        assert outcome_of(control_plane, after).kind == SUCCEEDED


def test_a_task_that_takes_all_memory_fails_and_its_runner_lives_on(control_plane):
    with joined(control_plane):
        [greedy] = control_plane.add("out_of_memory")
        [neighbour] = control_plane.add(parameters={"sleep_ms": 500})
        outcome = outcome_of(control_plane, greedy)
        assert outcome_of(control_plane, neighbour).kind == SUCCEEDED
    assert outcome.kind == FAILED
    assert outcome.error_class == worker_pb2.ERROR_CLASS_TRANSIENT
    assert outcome.error_message == "The executor raised MemoryError."


@pytest.mark.parametrize("alone", [False, True])
def test_a_task_that_never_ends_is_stopped_by_its_limit_of_time(control_plane, monkeypatch, alone):
    monkeypatch.setattr(runners, "STOP_SECONDS", 0.3)
    with joined(control_plane):
        [endless] = control_plane.add(
            "spin", parameters={"alone": alone}, start_to_close_seconds=0.5
        )
        until(lambda: control_plane.last_held)
        [neighbour] = control_plane.add(parameters={"sleep_ms": 60_000})
        outcome = outcome_of(control_plane, endless)
        assert outcome_of(control_plane, neighbour).kind == RELEASED
    assert outcome.error_code == "stop_ignored"
    assert outcome.error_class == worker_pb2.ERROR_CLASS_TIMEOUT


def test_a_large_result_arrives_whole(control_plane):
    with joined(control_plane):
        [task] = control_plane.add("huge_result", parameters={"bytes": 3 * 2**20})
        outcome = outcome_of(control_plane, task)
    assert json.loads(control_plane.artifacts[outcome.result_sha256]) == "x" * 3 * 2**20


def test_a_task_that_floods_its_output_disturbs_nobody(control_plane):
    with joined(control_plane):
        [loud] = control_plane.add("loud", parameters={"kilobytes": 2048})
        [neighbour] = control_plane.add()
        assert outcome_of(control_plane, loud).kind == SUCCEEDED
        assert outcome_of(control_plane, neighbour).kind == SUCCEEDED
