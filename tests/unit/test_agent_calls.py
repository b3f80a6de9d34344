"""What the agent makes of each answer to its calls: claims, settlements, heartbeats."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest

from proto.daef.v1 import worker_pb2
from workeragent import client
from workeragent.client import (
    RefusedError,
    UnknownWorkerError,
    UnreachableError,
    backoff,
    retried,
)
from workeragent.heartbeat import Heartbeat
from workeragent.held import Held, Stop
from workeragent.lane import Lane
from workeragent.slots import Pace
from workeragent.work import Errand, Work

LEASE_SECONDS = 30.0
AWAY = UnreachableError("UNAVAILABLE", "")
FORGOTTEN = UnknownWorkerError("FAILED_PRECONDITION", "")
REFUSED = RefusedError("INVALID_ARGUMENT", "")


@dataclass
class Told:
    """A control plane that says what it was given to say, and an agent that notes what it hears."""

    answers: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)

    def claim(self, request):
        return self._answer(request)

    def settle(self, request):
        copy = worker_pb2.SettleRequest()
        copy.CopyFrom(request)
        return self._answer(copy)

    def heartbeat(self, request, seconds):
        assert 0 < seconds <= LEASE_SECONDS / 3
        return self._answer(request)

    def _answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    # The agent's side of a heartbeat

    def free_slots(self):
        return 3

    def tickets_taken(self):
        return 9

    def gone(self, leases):
        self.heard.append(leases)

    def drain(self):
        self.heard.append("drain")

    def wake(self):
        self.heard.append("wake")

    def lost(self, reason):
        self.heard.append(("lost", reason))

    def answered(self):
        """Nothing to do."""

    def unanswered(self):
        self.heard.append("unanswered")


REGISTERED = worker_pb2.RegisterResponse(
    worker_id=7, lease_seconds=LEASE_SECONDS, heartbeat_seconds=2.0
)


def task(number: int) -> worker_pb2.ClaimedTask:
    return worker_pb2.ClaimedTask(task_id=number, lease_epoch=1)


def ended(number: int) -> worker_pb2.Outcome:
    kind = worker_pb2.OUTCOME_KIND_SUCCEEDED
    return worker_pb2.Outcome(task_id=number, lease_epoch=1, kind=kind)


@pytest.fixture
def held() -> Held:
    """Two tasks that have ended, and one that runs."""
    book = Held()
    book.add([task(1), task(2), task(3)], 1e12, 0.0)
    book.start(alone=False)
    book.ended([ended(1), ended(2)], 0.0)
    return book


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.0, 0.0))


def lane(told: Told, held: Held, *, over: bool = False) -> Lane:
    event = threading.Event()
    if over:
        event.set()
    work = Work(4, held, Pace())
    dispatched: Callable[[], None] = lambda: told.heard.append("dispatched")  # noqa: E731
    return Lane(told, REGISTERED, work, dispatched, told.lost, event)  # type: ignore[arg-type]


def test_claimed_tasks_are_held_and_sent_on(held):
    told = Told([worker_pb2.ClaimResponse(tasks=[task(9)])])
    lane(told, held).make(Errand([], 5))
    assert (told.requests[0].worker_id, told.requests[0].want) == (7, 5)
    assert (9, 1) in held.leases()
    assert told.heard == ["dispatched"]


def test_a_lost_answer_is_asked_for_again_without_asking_for_more_tasks(held):
    told = Told([AWAY, AWAY, worker_pb2.SettleResponse()])
    lane(told, held).make(Errand(held.take(2, 10**6), 5))
    assert [request.want for request in told.requests] == [5, 0, 0]
    assert [len(request.outcomes) for request in told.requests] == [2, 2, 2]
    assert held.leases() == [(3, 1)]


def test_a_settlement_is_given_up_when_its_leases_have_ended(held):
    told = Told([AWAY, AWAY])
    held.renewed([(1, 1), (2, 1)], 0.0)
    lane(told, held, over=True).make(Errand(held.take(2, 10**6), 0))
    assert len(told.requests) == 1
    assert held.leases() == [(3, 1)]


def test_one_bad_outcome_does_not_keep_its_neighbours_from_being_settled(held):
    bad, good = REFUSED, worker_pb2.SettleResponse()
    told = Told([bad, bad, good])
    lane(told, held).make(Errand(held.take(2, 10**6), 0))
    assert [[o.task_id for o in request.outcomes] for request in told.requests] == [
        [1, 2],
        [1],
        [2],
    ]
    assert held.leases() == [(3, 1)]


def test_an_agent_that_is_not_known_any_more_says_so(held):
    told = Told([FORGOTTEN])
    lane(told, held, over=True).make(Errand([], 1))
    assert told.heard == [("lost", "FAILED_PRECONDITION")]


def test_a_claim_that_is_not_answered_is_not_counted_as_under_way(held):
    told = Told([AWAY, worker_pb2.ClaimResponse()])
    calls = lane(told, held, over=True)
    calls.make(Errand([], 1))
    assert told.heard == []
    calls.make(Errand([], 1))
    assert told.heard == ["dispatched"]


def beat(told: Told, held: Held) -> None:
    Heartbeat(told, REGISTERED, held, told).beat()  # type: ignore[arg-type]


def test_a_heartbeat_names_all_that_is_held_and_renews_it(held):
    told = Told([worker_pb2.HeartbeatResponse()])
    held.renewed(held.leases(), 0.0)
    beat(told, held)
    [request] = told.requests
    assert (request.worker_id, request.free_slots, request.tickets_taken) == (7, 3, 9)
    assert [(one.task_id, one.lease_epoch) for one in request.held] == [(1, 1), (2, 1), (3, 1)]
    assert held.expired(1.0) == []
    assert told.heard == []


def test_a_heartbeat_without_an_answer_renews_nothing(held):
    told = Told([AWAY])
    held.renewed(held.leases(), 0.0)
    beat(told, held)
    assert held.expired(1.0) == [(3, 1)]
    assert told.heard == ["unanswered"]


def test_a_renewed_lease_is_counted_from_the_moment_of_asking(held, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("workeragent.heartbeat.time.monotonic", lambda: clock[0])
    told = Told([worker_pb2.HeartbeatResponse()])
    answer = told.heartbeat

    def slowly(request, seconds):
        clock[0] += 5.0
        return answer(request, seconds)

    told.heartbeat = slowly  # type: ignore[method-assign]
    beat(told, held)
    assert held.expired(100.0 + LEASE_SECONDS - 0.001) == []
    assert held.expired(100.0 + LEASE_SECONDS) == [(3, 1)]


def test_a_heartbeat_brings_what_is_gone_that_work_waits_and_that_it_is_time_to_go(held):
    gone = [worker_pb2.TaskLease(task_id=3, lease_epoch=1)]
    told = Told([worker_pb2.HeartbeatResponse(gone=gone, drain=True, work_waiting=True)])
    beat(told, held)
    assert told.heard == [[(3, 1)], "drain", "wake"]


def test_a_heartbeat_of_an_unknown_worker_loses_the_incarnation(held):
    told = Told([FORGOTTEN])
    beat(told, held)
    assert told.heard == [("lost", "FAILED_PRECONDITION")]


def test_a_gone_task_is_named_no_more(held):
    held.stop([(3, 1)], Stop.GONE, 0.0)
    told = Told([worker_pb2.HeartbeatResponse()])
    beat(told, held)
    assert [one.task_id for one in told.requests[0].held] == [1, 2]


class Failure(grpc.RpcError, grpc.Call):
    """A call that failed with a status."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self.status = status

    def code(self):
        return self.status

    def details(self):
        return "words"


Failure.__abstractmethods__ = frozenset()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("UNAVAILABLE", UnreachableError),
        ("DEADLINE_EXCEEDED", UnreachableError),
        ("CANCELLED", UnreachableError),
        ("ABORTED", UnreachableError),
        ("INTERNAL", UnreachableError),
        ("UNKNOWN", UnreachableError),
        ("FAILED_PRECONDITION", UnknownWorkerError),
        ("UNAUTHENTICATED", UnknownWorkerError),
        ("INVALID_ARGUMENT", RefusedError),
        ("PERMISSION_DENIED", RefusedError),
        ("RESOURCE_EXHAUSTED", RefusedError),
    ],
)
def test_each_status_is_one_of_three_failures(status, kind):
    error = client._translated(Failure(grpc.StatusCode[status]))
    assert type(error) is kind
    assert (error.status, error.details) == (status, "words")


def test_only_what_was_not_answered_is_called_again():
    for error in (REFUSED, FORGOTTEN):
        answers = [error, "late"]
        with pytest.raises(type(error)):
            retried(partial(_next, answers), lambda: True, threading.Event())
        assert answers == ["late"]


def test_calling_again_ends_when_it_makes_no_sense_any_more():
    for goes_on, stopped in ((False, False), (True, True)):
        stop = threading.Event()
        if stopped:
            stop.set()
        answers = [AWAY, "late"]
        with pytest.raises(UnreachableError):
            retried(partial(_next, answers), partial(bool, goes_on), stop)
        assert answers == ["late"]


def test_waits_double_up_to_the_longest(monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (1.0, 5.0))
    monkeypatch.setattr("workeragent.client.random.uniform", max)
    waits = backoff()
    assert [next(waits) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def _next(answers):
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer
