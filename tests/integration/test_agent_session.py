"""The agent against a control plane that speaks the real protocol, with a real runner."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from proto.daef.v1 import worker_pb2
from tests.integration.agent_control_plane import TOKEN, FakeControlPlane, until
from workeragent import agent, runners, work
from workeragent.config import load

SUCCEEDED = worker_pb2.OUTCOME_KIND_SUCCEEDED
FAILED = worker_pb2.OUTCOME_KIND_FAILED
RELEASED = worker_pb2.OUTCOME_KIND_RELEASED


@pytest.fixture
def control_plane() -> Iterator[FakeControlPlane]:
    fake = FakeControlPlane()
    fake.start()
    yield fake
    fake.stop()


@contextmanager
def joined(
    control_plane: FakeControlPlane, slots: int = 4, drain_seconds: float = 30
) -> Iterator[threading.Event]:
    """An agent in a thread of this process; yields the event that makes it leave."""
    settings = load(
        {
            "DAEF_CONTROL_PLANE": f"127.0.0.1:{control_plane.port}",
            "DAEF_AGENT_TOKEN": TOKEN,
            "DAEF_SLOTS": str(slots),
            "DAEF_DRAIN_SECONDS": str(drain_seconds),
            "DAEF_TEST_KINDS": "1",
        }
    )
    stop = threading.Event()
    thread = threading.Thread(target=agent.run, args=(lambda: replace(settings), stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def test_a_batch_of_echo_tasks_is_settled_in_few_calls(control_plane):
    with joined(control_plane):
        ids = control_plane.add(count=2000)
        until(lambda: len(control_plane.settled) == 2000)
    assert {one.result for i in ids for one in control_plane.outcomes(i)} == {'"hello"'}
    assert control_plane.settle_calls < 100
    assert control_plane.deregistered == [1]
    [registered] = control_plane.registered
    assert {"echo", "fail", "exit"} <= set(registered.kinds)
    assert "openai:" in registered.models


def test_work_goes_on_after_the_control_plane_was_restarted(control_plane):
    with joined(control_plane):
        control_plane.add(count=50, parameters={"sleep_ms": 20})
        until(lambda: control_plane.settled)
        control_plane.stop()
        done = len(control_plane.settled)
        assert done < 50
        control_plane.start()
        until(lambda: len(control_plane.settled) == 50)
    assert len(control_plane.registered) == 1


def test_a_settlement_whose_answer_was_lost_is_sent_again_and_applied_once(control_plane):
    control_plane.fail_settle_after_apply = 2
    with joined(control_plane):
        [task] = control_plane.add()
        until(lambda: control_plane.settle_calls >= 3)
        until(lambda: not control_plane.last_held)
    assert len(control_plane.outcomes(task)) == 1
    assert control_plane.statuses.count(worker_pb2.SETTLE_STATUS_REPEATED) == 2


def test_an_outcome_that_cannot_be_settled_for_now_is_sent_again_and_holds_up_nobody(
    control_plane, monkeypatch
):
    monkeypatch.setattr(work, "POSTPONE_SECONDS", 0.1)
    with joined(control_plane, slots=2):
        [late] = control_plane.add(parameters={"sleep_ms": 300})
        control_plane.busy.add(late)
        until(lambda: worker_pb2.SETTLE_STATUS_BUSY in control_plane.statuses)
        others = control_plane.add(count=20)
        until(lambda: all(control_plane.outcomes(task) for task in others))
        until(lambda: control_plane.statuses.count(worker_pb2.SETTLE_STATUS_BUSY) > 2)
        assert (late, 1) in control_plane.last_held
        control_plane.busy.clear()
        until(lambda: control_plane.outcomes(late))
    assert len(control_plane.outcomes(late)) == 1


def test_a_task_that_is_gone_is_stopped_and_never_settled(control_plane):
    with joined(control_plane):
        [gone] = control_plane.add(parameters={"sleep_ms": 60_000})
        until(lambda: (gone, 1) in control_plane.last_held)
        control_plane.gone.add(gone)
        until(lambda: not control_plane.last_held)
        blocked = control_plane.add(count=4, parameters={"sleep_ms": 1})
        until(lambda: set(blocked) <= set(control_plane.settled))
    assert control_plane.outcomes(gone) == []


def test_a_runner_that_dies_blames_the_running_task_and_the_rest_goes_on(control_plane):
    with joined(control_plane):
        [poison] = control_plane.add("exit", parameters={"attempts": 1})
        until(lambda: control_plane.outcomes(poison))
        ids = control_plane.add(count=20)
        until(lambda: set(ids) <= set(control_plane.settled))
    [outcome] = control_plane.outcomes(poison)
    assert outcome.kind == FAILED
    assert outcome.error_class == worker_pb2.ERROR_CLASS_WORKER_LOST
    assert outcome.error_code == "worker_lost"


def test_a_task_that_has_not_started_is_released_when_the_runner_dies(control_plane):
    with joined(control_plane, slots=1):
        control_plane.add(count=300)
        until(lambda: len(control_plane.settled) == 300)
        [poison] = control_plane.add("exit", parameters={"after_ms": 200})
        innocent = control_plane.add(count=50)
        until(lambda: control_plane.outcomes(poison))
        until(lambda: all(control_plane.outcomes(one) for one in innocent))
    kinds = {control_plane.outcomes(one)[0].kind for one in innocent}
    assert FAILED not in kinds
    assert RELEASED in kinds


def test_a_task_over_its_time_fails_with_a_timeout(control_plane):
    with joined(control_plane):
        [late] = control_plane.add(parameters={"sleep_ms": 60_000}, start_to_close_seconds=0.5)
        until(lambda: control_plane.outcomes(late))
    [outcome] = control_plane.outcomes(late)
    assert outcome.error_class == worker_pb2.ERROR_CLASS_TIMEOUT
    assert outcome.error_code == "start_to_close_exceeded"


def test_a_task_that_ignores_its_cancel_gets_its_runner_killed_and_others_are_released(
    control_plane, monkeypatch
):
    monkeypatch.setattr(runners, "STOP_SECONDS", 0.3)
    with joined(control_plane):
        # `exit` sleeps in one piece: it never looks whether it was cancelled.
        [deaf] = control_plane.add("exit", parameters={"after_ms": 60_000})
        [neighbour] = control_plane.add(parameters={"sleep_ms": 60_000})
        until(lambda: len(control_plane.last_held) == 2)
        control_plane.gone.add(deaf)
        until(lambda: control_plane.outcomes(neighbour))
        after = control_plane.add()
        until(lambda: control_plane.outcomes(after[0]))
    assert control_plane.outcomes(deaf) == []
    assert control_plane.outcomes(neighbour)[0].kind == RELEASED


def test_a_task_that_must_run_alone_dies_alone_and_nobody_waits_for_it(control_plane):
    with joined(control_plane):
        neighbours = control_plane.add(count=2, parameters={"sleep_ms": 1500})
        until(lambda: len(control_plane.last_held) == 2)
        [poison] = control_plane.add("exit", run_alone=True)
        until(lambda: control_plane.outcomes(poison))
        neighbours += control_plane.add(count=3)
        until(lambda: all(control_plane.outcomes(task) for task in neighbours))
    assert control_plane.outcomes(poison)[0].error_code == "worker_lost"
    assert {control_plane.outcomes(task)[0].kind for task in neighbours} == {SUCCEEDED}


def test_tasks_that_must_run_alone_never_run_at_the_same_time(control_plane):
    with joined(control_plane):
        one, other = control_plane.add(count=2, parameters={"sleep_ms": 300}, run_alone=True)
        until(lambda: control_plane.outcomes(one) and control_plane.outcomes(other))
    assert abs(started(control_plane, one) - started(control_plane, other)) > 0.29


def test_the_runner_of_those_that_run_alone_is_replaced_and_goes_when_unused(
    control_plane, monkeypatch
):
    monkeypatch.setattr(runners, "ALONE_SECONDS", 0.2)
    with joined(control_plane):
        control_plane.add()
        until(lambda: control_plane.settled)
        before = len(runner_processes())
        [poison] = control_plane.add("exit", run_alone=True)
        [after] = control_plane.add(run_alone=True)
        until(lambda: control_plane.outcomes(poison) and control_plane.outcomes(after))
        until(lambda: len(runner_processes()) == before)
    assert control_plane.outcomes(after)[0].kind == SUCCEEDED


def runner_processes() -> list[psutil.Process]:
    """What was started for this process' agents."""
    return psutil.Process().children(recursive=True)


def started(control_plane, task: int) -> float:
    """When the attempt that succeeded began, in seconds."""
    at = control_plane.outcomes(task)[-1].started_at
    return at.seconds + at.nanos / 1e9


def test_an_agent_that_is_forgotten_registers_as_a_fresh_incarnation(control_plane):
    with joined(control_plane):
        [first] = control_plane.add()
        until(lambda: control_plane.outcomes(first))
        control_plane.forget_workers = True
        until(lambda: len(control_plane.registered) == 2)
        [second] = control_plane.add()
        until(lambda: control_plane.outcomes(second))
    incarnations = {one.incarnation for one in control_plane.registered}
    assert len(incarnations) == 2


def test_a_drained_agent_finishes_what_runs_takes_no_more_and_leaves(control_plane):
    with joined(control_plane) as stop:
        running = control_plane.add(count=4, parameters={"sleep_ms": 700})
        until(lambda: len(control_plane.last_held) == 4)
        control_plane.drain = True
        until(lambda: control_plane.deregistered)
        assert not stop.is_set()
        late = control_plane.add()
    assert [control_plane.outcomes(one)[0].kind for one in running] == [SUCCEEDED] * 4
    assert control_plane.outcomes(late[0]) == []


def test_an_agent_that_leaves_releases_what_does_not_end_in_time(control_plane):
    with joined(control_plane, drain_seconds=0.3) as stop:
        [endless] = control_plane.add(parameters={"sleep_ms": 60_000})
        until(lambda: control_plane.last_held)
        stop.set()
        until(lambda: control_plane.deregistered)
    assert control_plane.outcomes(endless)[0].kind == RELEASED


def test_an_agent_that_cannot_reach_anybody_stops_its_tasks_when_their_lease_ends(control_plane):
    control_plane.lease_seconds = 0.5
    with joined(control_plane, slots=1):
        [cut_off] = control_plane.add(parameters={"sleep_ms": 60_000})
        until(lambda: control_plane.last_held)
        control_plane.stop()
        # What is being tested is that time passes: twice the lease.
        threading.Event().wait(1.0)
        control_plane.start()
        [after] = control_plane.add()
        until(lambda: control_plane.outcomes(after))
    assert control_plane.outcomes(cut_off) == []
    assert worker_pb2.SETTLE_STATUS_FENCED not in control_plane.statuses


def test_large_results_and_inputs_go_as_artifacts(control_plane):
    text = json.dumps("x" * 300_000)
    with joined(control_plane):
        [task] = control_plane.add(input="", has_large_input=True)
        control_plane.artifacts[task, "input"] = text.encode()
        until(lambda: control_plane.outcomes(task))
    [outcome] = control_plane.outcomes(task)
    assert outcome.result == ""
    assert control_plane.artifacts[outcome.result_sha256] == text.encode()


def test_short_tasks_claimed_behind_a_long_one_are_handed_back(control_plane):
    with joined(control_plane, slots=1):
        control_plane.add(count=300)
        until(lambda: len(control_plane.settled) == 300)
        control_plane.add(parameters={"sleep_ms": 3_000})
        waiting = control_plane.add(count=100)
        until(lambda: any(control_plane.outcomes(one) for one in waiting), 3.0)
    kinds = {one.kind for i in waiting for one in control_plane.outcomes(i)}
    assert RELEASED in kinds
