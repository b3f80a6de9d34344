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
    book.start(alone=False)
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
    assert outcome.kind == worker_pb2.OUTCOME_KIND_FAILED
    assert outcome.error_class == worker_pb2.ERROR_CLASS_TIMEOUT
    assert outcome.error_code == "start_to_close_exceeded"


def test_a_task_handed_back_unrun_is_released(held):
    held.ended([ended(1, worker_pb2.OUTCOME_KIND_UNSPECIFIED)], 0.0)
    assert held.take(10, FAR)[0].kind == worker_pb2.OUTCOME_KIND_RELEASED


def test_a_runner_that_dies_by_itself_fails_only_what_was_running(held):
    assert held.runner_lost(frozenset({2}), True, 0.0, alone=False) == [2]
    kinds = {o.task_id: (o.kind, o.error_code) for o in held.take(10, FAR)}
    assert kinds == {
        1: (worker_pb2.OUTCOME_KIND_RELEASED, ""),
        2: (worker_pb2.OUTCOME_KIND_FAILED, "worker_lost"),
    }


def test_a_task_for_whose_deafness_the_runner_was_killed_says_so(held):
    held.stop([(1, 1)], Stop.TIMEOUT, 0.0)
    held.runner_lost(frozenset({1, 2}), False, 0.0, alone=False)
    deaf, other = held.take(10, FAR)
    assert (deaf.error_class, deaf.error_code) == (worker_pb2.ERROR_CLASS_TIMEOUT, "stop_ignored")
    assert other.kind == worker_pb2.OUTCOME_KIND_RELEASED


def test_a_runner_that_was_killed_blames_nobody(held):
    assert held.runner_lost(frozenset({1, 2}), False, 0.0, alone=False) == []
    kinds = [outcome.kind for outcome in held.take(10, FAR)]
    assert kinds == [worker_pb2.OUTCOME_KIND_RELEASED] * 2


def started(held: Held, *, alone: bool) -> list[int]:
    return [one.task_id for one in held.start(alone=alone)]


def test_tasks_that_run_alone_go_to_a_runner_of_their_own_one_at_a_time(held):
    held.add([task(3, run_alone=True), task(4, run_alone=True), task(5)], FAR, 0.0)
    assert started(held, alone=False) == [5]
    assert started(held, alone=True) == [3]
    assert started(held, alone=True) == []
    assert held.waits_alone()
    held.ended([ended(3)], 0.0)
    assert started(held, alone=True) == [4]
    assert not held.waits_alone()


def test_ordinary_tasks_without_a_runner_can_be_handed_back(held):
    held.add([task(3, run_alone=True), task(4)], FAR, 0.0)
    assert held.release_parked(1.0, alone=False)
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [4]
    assert held.waits_alone()
    assert not held.release_parked(1.0, alone=False)


def test_the_death_of_one_runner_does_not_touch_what_the_other_has(held):
    held.add([task(3, run_alone=True)], FAR, 0.0)
    held.start(alone=True)
    assert held.runner_lost(frozenset({3}), True, 0.0, alone=True) == [3]
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [3]
    assert [share.lease for share in held.in_runner(alone=False)] == [(1, 1), (2, 1)]


def test_a_task_that_runs_alone_and_is_gone_makes_room_for_the_next(held):
    held.add([task(3, run_alone=True), task(4, run_alone=True)], FAR, 0.0)
    held.start(alone=True)
    held.stop([(3, 1)], Stop.GONE, 0.0)
    held.ended([ended(3, worker_pb2.OUTCOME_KIND_UNSPECIFIED)], 0.0)
    assert started(held, alone=True) == [4]


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


def test_a_postponed_outcome_is_held_and_taken_again_when_it_is_due(held):
    held.ended([ended(1), ended(2)], 0.0)
    first, second = held.take(10, FAR)
    held.settled([first])
    held.postpone([first, second], 5.0)
    assert held.leases() == [(2, 1)]
    assert not held.revive(4.9)
    assert held.take(10, FAR) == []
    assert held.revive(5.0)
    assert held.counts(7.0) == (0, 1, 2.0)
    assert held.take(10, FAR) == [second]
    assert not held.revive(9.0)


def test_a_postponed_outcome_whose_lease_ended_is_forgotten(held):
    held.ended([ended(1)], 0.0)
    held.postpone(held.take(10, FAR), 2 * FAR)
    held.expired(FAR)
    assert not held.revive(3 * FAR)


def test_a_task_claimed_again_replaces_its_older_share(held):
    again = worker_pb2.ClaimedTask(task_id=1, lease_epoch=2)
    held.add([again], FAR, 0.0)
    held.ended([ended(1)], 0.0)
    assert held.take(10, FAR) == []
    assert (1, 2) in held.leases()


def test_a_task_that_was_told_to_stop_is_not_blamed_for_a_runner_that_dies(held):
    held.stop([(1, 1)], Stop.RELEASE, 0.0)
    held.stop([(2, 1)], Stop.GONE, 0.0)
    assert held.runner_lost(frozenset({1, 2}), True, 0.0, alone=False) == []
    outcomes = held.take(10, FAR)
    assert [(o.task_id, o.kind) for o in outcomes] == [(1, worker_pb2.OUTCOME_KIND_RELEASED)]


def test_what_waits_outside_the_runner_does_not_die_with_it(held):
    held.add([task(3, run_alone=True)], FAR, 0.0)
    held.runner_lost(frozenset({1}), True, 0.0, alone=False)
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [1, 2]
    assert started(held, alone=True) == [3]


def test_only_what_the_runner_has_is_watched(held):
    held.add([task(3, run_alone=True)], FAR, 0.0)
    assert [share.lease for share in held.in_runner(alone=False)] == [(1, 1), (2, 1)]
    held.ended([ended(1)], 0.0)
    assert [share.lease for share in held.in_runner(alone=False)] == [(2, 1)]


def test_a_heartbeat_renews_only_the_epoch_it_named(held):
    held.renewed([(1, 2), (2, 1), (99, 1)], 2 * FAR)
    assert held.expired(FAR) == [(1, 1)]


def test_a_lease_ends_in_the_moment_it_was_granted_to(held):
    assert held.expired(FAR - 0.001) == []
    assert held.expired(FAR) == [(1, 1), (2, 1)]


def test_an_outcome_whose_lease_ended_is_not_sent(held):
    held.ended([ended(1), ended(2)], 0.0)
    held.renewed([(2, 1)], 2 * FAR)
    held.expired(FAR)
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [2]


def test_settling_makes_sense_until_the_lease_ends(held):
    held.ended([ended(1)], 0.0)
    [outcome] = held.take(10, FAR)
    assert held.still_held(outcome, FAR - 0.001)
    assert not held.still_held(outcome, FAR)
    assert not held.still_held(ended(1), 0.0)
    held.settled([outcome, ended(99)])
    assert not held.still_held(outcome, 0.0)


def test_an_answer_to_an_older_outcome_leaves_the_newer_share(held):
    held.ended([ended(1)], 0.0)
    [old] = held.take(10, FAR)
    held.add([worker_pb2.ClaimedTask(task_id=1, lease_epoch=2)], FAR, 0.0)
    held.settled([old])
    assert (1, 2) in held.leases()


def test_an_outcome_is_booked_once(held):
    held.ended([ended(1)], 0.0)
    held.ended([ended(1, worker_pb2.OUTCOME_KIND_FAILED)], 0.0)
    assert [outcome.kind for outcome in held.take(10, FAR)] == [worker_pb2.OUTCOME_KIND_SUCCEEDED]


def test_the_first_reason_to_stop_tells_the_time_and_gone_is_final(held):
    held.stop([(1, 1)], Stop.TIMEOUT, 5.0)
    held.stop([(1, 1)], Stop.GONE, 9.0)
    assert held.stop([(1, 1)], Stop.RELEASE, 12.0) == [(1, 1)]
    [share] = [share for share in held.in_runner(alone=False) if share.lease == (1, 1)]
    assert (share.stop, share.stopped_at) == (Stop.GONE, 5.0)


def test_a_gone_share_that_waited_outside_the_runner_is_forgotten_at_once(held):
    held.add([task(3, run_alone=True)], FAR, 0.0)
    assert held.stop([(3, 1)], Stop.GONE, 0.0) == []
    assert (3, 1) not in held.leases()
    assert len(held) == 2


def test_the_counts_follow_each_share(held):
    assert held.counts(7.0) == (2, 0, 0.0)
    held.add([task(3, run_alone=True)], FAR, 0.0)
    assert held.counts(7.0) == (3, 0, 0.0)
    held.ended([ended(1)], 3.0)
    held.ended([ended(2)], 4.0)
    assert held.counts(7.0) == (1, 2, 4.0)
    held.take(10, FAR)
    assert held.counts(7.0) == (1, 0, 0.0)


def test_what_arrived_later_stays_parked(held):
    held.add([task(3, run_alone=True)], FAR, 5.0)
    held.release_parked(4.0, alone=True)
    assert held.take(10, FAR) == []
    held.release_parked(5.0, alone=True)
    assert [outcome.task_id for outcome in held.take(10, FAR)] == [3]


def test_an_interactive_task_that_ended_is_due_to_be_settled_at_once():
    held = Held()
    held.add([task(1), task(2, priority=100)], FAR, 0.0)
    held.start(alone=False)
    held.ended([ended(1)], 1000.0)
    assert held.counts(1000.0)[2] == 0.0
    held.ended([ended(2)], 1000.0)
    assert held.counts(1000.0)[2] > 20.0
