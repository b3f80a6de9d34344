"""The book of lease shares: what is held, stopped, settled, lost."""

from typing import Any

import pytest

from proto.daef.v1 import worker_pb2
from workeragent.held import Held, Stop

FAR = 1000.0


def task(number: int, **fields: Any) -> worker_pb2.ClaimedTask:
    return worker_pb2.ClaimedTask(task_id=number, lease_epoch=1, **fields)


def ended(number: int, kind: Any = worker_pb2.OUTCOME_KIND_SUCCEEDED) -> worker_pb2.Outcome:
    return worker_pb2.Outcome(task_id=number, lease_epoch=1, kind=kind)


@pytest.fixture
def held() -> Held:
    book = Held()
    book.add([task(1), task(2)], FAR, 0.0)
    book.start()
    return book


def test_a_finished_task_stays_in_the_heartbeats_until_it_is_settled(held):
    held.ended([ended(1)], 0.0)
    outcomes = held.take(10, FAR)
    assert held.leases() == [(1, 1), (2, 1)]
    held.settled(outcomes)
    assert held.leases() == [(2, 1)]


def test_a_gone_task_leaves_the_heartbeats_and_its_result_is_dropped(held):
    assert held.stop([(1, 1)], Stop.GONE, 0.0) == [(1, 1)]
    assert held.leases() == [(2, 1)]
    held.ended([ended(1)], 0.0)
    assert held.take(10, FAR) == []
    assert len(held) == 1


def test_a_gone_answer_leaves_a_finished_task_to_its_settlement(held):
    held.ended([ended(1)], 0.0)
    assert held.stop([(1, 1)], Stop.GONE, 0.0) == []
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [1]


def test_another_epoch_of_the_same_task_is_not_stopped(held):
    assert held.stop([(1, 2)], Stop.GONE, 0.0) == []


def test_a_stopped_task_that_was_too_long_fails_with_a_timeout(held):
    held.stop([(1, 1)], Stop.TIMEOUT, 0.0)
    held.ended([ended(1, worker_pb2.OUTCOME_KIND_UNSPECIFIED)], 0.0)
    [outcome] = held.take(10, FAR)
    assert outcome.error_class == worker_pb2.ERROR_CLASS_TIMEOUT
    assert outcome.error_code == "start_to_close_exceeded"


def test_a_task_handed_back_unrun_is_released(held):
    held.ended([ended(1, worker_pb2.OUTCOME_KIND_UNSPECIFIED)], 0.0)
    assert held.take(10, FAR)[0].kind == worker_pb2.OUTCOME_KIND_RELEASED


def test_a_runner_that_dies_by_itself_fails_only_what_was_running(held):
    assert held.runner_lost(frozenset({2}), True, 0.0) == [2]
    kinds = {o.task_id: (o.kind, o.error_code) for o in held.take(10, FAR)}
    assert kinds == {
        1: (worker_pb2.OUTCOME_KIND_RELEASED, ""),
        2: (worker_pb2.OUTCOME_KIND_FAILED, "worker_lost"),
    }


def test_a_runner_that_was_killed_blames_nobody(held):
    assert held.runner_lost(frozenset({1, 2}), False, 0.0) == []
    kinds = [outcome.kind for outcome in held.take(10, FAR)]
    assert kinds == [worker_pb2.OUTCOME_KIND_RELEASED] * 2


def test_a_lonely_task_waits_for_an_empty_runner_and_keeps_others_out(held):
    held.add([task(3, run_alone=True), task(4)], FAR, 0.0)
    assert held.start() == []
    held.ended([ended(1), ended(2)], 0.0)
    assert [one.task_id for one in held.start()] == [3]
    assert held.start() == []
    held.ended([ended(3)], 0.0)
    assert not held.lonely()
    assert [one.task_id for one in held.start()] == [4]


def test_ordinary_tasks_behind_a_lonely_one_can_be_handed_back(held):
    held.add([task(3, run_alone=True), task(4)], FAR, 0.0)
    held.release_parked(1.0, ordinary_only=True)
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [4]
    assert held.lonely()


def test_a_lonely_task_that_is_gone_blocks_nobody(held):
    held.add([task(3, run_alone=True)], FAR, 0.0)
    held.stop([(3, 1)], Stop.GONE, 0.0)
    assert not held.lonely()


def test_a_lease_that_ended_by_the_own_clock_is_given_up(held):
    held.ended([ended(1)], 0.0)
    held.renewed([(2, 1)], 2 * FAR)
    assert held.expired(FAR) == []
    assert held.leases() == [(2, 1)]
    assert held.expired(2 * FAR) == [(2, 1)]


def test_outcomes_are_taken_up_to_a_size_but_at_least_one(held):
    for number in (1, 2):
        outcome = ended(number)
        outcome.result = "x" * 100
        held.ended([outcome], 0.0)
    assert len(held.take(10, 50)) == 1
    assert len(held.take(10, 500)) == 1


def test_a_task_claimed_again_replaces_its_older_share(held):
    again = worker_pb2.ClaimedTask(task_id=1, lease_epoch=2)
    held.add([again], FAR, 0.0)
    held.ended([ended(1)], 0.0)
    assert held.take(10, FAR) == []
    assert (1, 2) in held.leases()
