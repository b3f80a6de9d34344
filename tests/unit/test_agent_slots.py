"""How much the agent asks for, and when it speaks."""

from dataclasses import replace

import pytest

from workeragent.slots import BATCH, Call, Pace, View, Wait, goal, next_call

IDLE = View(
    slots=4,
    in_runner=0,
    asked=0,
    unsettled=0,
    oldest_seconds=0.0,
    mean_seconds=None,
    hungry=True,
    closed=False,
)


def test_a_hungry_agent_claims_all_its_free_slots():
    assert next_call(replace(IDLE, in_runner=1)) == Call(0, 3)


def test_an_agent_that_was_answered_in_short_waits_for_news():
    assert next_call(replace(IDLE, hungry=False)) == Wait(None)


def test_what_calls_under_way_asked_for_is_not_asked_for_again():
    assert next_call(replace(IDLE, asked=4)) == Wait(None)


def test_a_finished_task_whose_slot_would_idle_is_settled_at_once_with_a_claim():
    view = replace(IDLE, hungry=False, in_runner=3, unsettled=1)
    assert next_call(view) == Call(1, 1)


def test_finished_tasks_wait_for_each_other_while_every_slot_is_busy():
    step = next_call(replace(IDLE, in_runner=4, unsettled=1, oldest_seconds=0.005))
    assert isinstance(step, Wait)
    assert step.seconds == pytest.approx(0.015)


def test_no_finished_task_waits_longer_than_twenty_milliseconds():
    view = replace(IDLE, in_runner=4, unsettled=3, oldest_seconds=0.02)
    assert next_call(view) == Call(3, 0)


def test_very_short_tasks_are_claimed_in_two_batches():
    assert goal(16, 0.0001) == 2 * BATCH


def test_long_tasks_are_claimed_one_for_each_slot():
    assert goal(16, 3.0) == 16


def test_a_few_free_places_in_a_batch_are_no_reason_to_call():
    view = replace(IDLE, mean_seconds=0.00001, in_runner=2 * BATCH - 5)
    assert next_call(view) == Wait(None)


def test_a_woken_agent_asks_for_a_few_more_than_the_short_tasks_that_wait():
    full = replace(IDLE, mean_seconds=0.02, in_runner=20, woken=True)
    assert goal(4, 0.02) == 20
    assert next_call(full) == Call(0, 4)
    assert next_call(replace(full, woken=False)) == Wait(None)
    assert next_call(replace(full, asked=4)) == Wait(None)


def test_an_agent_of_long_tasks_takes_no_more_than_it_has_slots_though_woken():
    assert next_call(replace(IDLE, mean_seconds=3.0, in_runner=4, woken=True)) == Wait(None)


def test_a_closed_agent_settles_but_claims_nothing():
    assert next_call(replace(IDLE, closed=True, unsettled=2)) == Call(2, 0)
    assert next_call(replace(IDLE, closed=True)) == Wait(None)


def test_one_call_never_carries_more_than_a_batch():
    view = replace(IDLE, slots=1000, unsettled=900)
    assert next_call(view) == Call(BATCH, BATCH)


def test_the_pace_moves_towards_the_newest_batch():
    pace = Pace()
    pace.ran(10, 10.0)
    pace.ran(10, 0.0)
    assert pace.mean_seconds == pytest.approx(0.8)


def test_waiting_tasks_make_the_pace_slower_at_once():
    pace = Pace()
    pace.ran(100, 0.001)
    pace.at_least(0.05)
    assert pace.mean_seconds == 0.05
