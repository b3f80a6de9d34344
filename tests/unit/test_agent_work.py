"""The desk between lanes and news: which call comes next, and when no more is asked for."""

import threading

import pytest

from proto.daef.v1 import worker_pb2
from workeragent.held import Held
from workeragent.slots import Pace
from workeragent.work import Errand, Work

FAR = 1e12


def tasks(*numbers: int, alone: bool = False) -> list[worker_pb2.ClaimedTask]:
    return [worker_pb2.ClaimedTask(task_id=n, lease_epoch=1, run_alone=alone) for n in numbers]


def ended(number: int) -> worker_pb2.Outcome:
    kind = worker_pb2.OUTCOME_KIND_SUCCEEDED
    return worker_pb2.Outcome(task_id=number, lease_epoch=1, kind=kind)


class Desk(Work):
    """Work with two slots, and its book at hand."""

    def __init__(self) -> None:
        self.held = Held()
        super().__init__(2, self.held, Pace())
        self.open()

    def now(self) -> Errand | None:
        """The next call, None when there is none to make now."""
        found: list[Errand | None] = []
        asking = threading.Thread(target=lambda: found.append(self.next()), daemon=True)
        asking.start()
        asking.join(0.05)
        if not found:
            self.end()
            asking.join(5)
            self._over = False
        return found[0]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_new_agent_asks_for_as_much_as_it_has_slots(desk):
    assert desk.now() == Errand([], 2)


def test_what_a_call_asks_for_is_not_asked_for_twice(desk):
    desk.now()
    desk.wake()
    assert desk.now() is None


def test_an_agent_that_got_less_than_it_asked_for_waits_for_news(desk):
    desk.answered(desk.now(), tasks(1), FAR)
    assert desk.now() is None
    desk.wake()
    assert desk.now() == Errand([], 1)


def test_an_agent_that_got_all_it_asked_for_asks_again_as_soon_as_there_is_room(desk):
    desk.answered(desk.now(), tasks(1, 2), FAR)
    desk.held.start(alone=False)
    assert desk.now() is None
    desk.ended([ended(1)], 1, 1.0)
    errand = desk.now()
    assert ([outcome.task_id for outcome in errand.outcomes], errand.want) == ([1], 1)


def test_a_call_that_failed_is_made_again(desk):
    desk.failed(desk.now())
    assert desk.now() == Errand([], 2)


def test_an_agent_that_leaves_settles_and_claims_nothing(desk):
    desk.answered(desk.now(), tasks(1, 2), FAR)
    desk.held.start(alone=False)
    desk.close()
    desk.ended([ended(1)], 1, 0.001)
    assert desk.now() == Errand([ended(1)], 0)
    desk.wake()
    assert desk.now() is None


def test_nothing_is_claimed_while_there_is_no_runner(desk):
    desk.close_until_open()
    assert desk.now() is None
    desk.open()
    assert desk.now() == Errand([], 2)


def test_a_task_that_must_run_alone_takes_the_place_of_one_other(desk):
    desk.answered(desk.now(), tasks(1, alone=True), FAR)
    desk.wake()
    assert desk.now() == Errand([], 1)


def test_settling_is_worth_it_while_one_lease_of_the_outcomes_runs(desk):
    desk.answered(desk.now(), tasks(1), FAR)
    desk.held.start(alone=False)
    desk.ended([ended(1)], 1, 0.001)
    errand = desk.now()
    assert desk.any_held(errand.outcomes)
    desk.settled(errand.outcomes)
    assert not desk.any_held(errand.outcomes)
    assert len(desk.held) == 0


def test_lanes_go_home_when_the_session_is_over(desk):
    desk.end()
    assert desk.next() is None
