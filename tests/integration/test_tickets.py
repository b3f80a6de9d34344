"""Which pools are rung for, how often, and what lies in their queues then."""

import os
import signal
import threading

import pytest
import redis
from rq.job import Job as Message
from rq.serializers import JSONSerializer

from jobs import ticketer
from jobs.actions import fleet
from jobs.transitions import overdue
from jobs.transitions.sql import execute
from queueing import tickets
from queueing.rq_client import TICKET_FUNCTION, QueueUnavailable, TicketQueue, queue_name
from tests.integration.agent_control_plane import until
from tests.integration.scenario import register, submit_echo
from workeragent.worker import refusal


@pytest.fixture
def connection(redis_url) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def lying(connection, pool="default") -> list[bytes]:
    return connection.lrange(f"rq:queue:{queue_name(pool)}", 0, -1)


def test_a_queue_is_filled_up_to_what_was_asked_for(connection, redis_url):
    queue = TicketQueue(redis_url)
    assert queue.push("default", 3) == 3
    assert queue.push("default", 3) == 0
    assert queue.push("default", 1) == 0
    assert queue.push("default", 5) == 2
    assert queue.push("other", 1) == 1
    assert len(lying(connection)) == 5


def test_a_ticket_is_one_and_says_nothing(connection, redis_url):
    TicketQueue(redis_url).push("default", 1)
    (identifier,) = lying(connection)
    message = Message.fetch(identifier.decode(), connection=connection, serializer=JSONSerializer)
    assert refusal(message, "default") == ""
    assert (message.func_name, message.description) == (TICKET_FUNCTION, "ticket")
    assert message.kwargs == {"v": 1, "pool": "default"}
    assert 0 < connection.ttl(message.key) <= 60


def test_tickets_in_dead_agents_hands_are_swept(connection, redis_url):
    queue = TicketQueue(redis_url)
    queue.push("default", 1)
    hands = f"rq:queue:{queue_name('default')}:intermediate"
    connection.lmove(f"rq:queue:{queue_name('default')}", hands, "RIGHT", "LEFT")
    queue.push("default", 1)
    assert not connection.exists(hands)


def test_a_redis_that_is_away_is_an_error_of_its_own():
    with pytest.raises(QueueUnavailable):
        TicketQueue("redis://127.0.0.1:9/0").push("default", 1)


@pytest.mark.django_db
def test_only_pools_with_ready_work_are_rung_for_and_only_their_free_live_agents():
    submit_echo(1)
    register(pool="idle")
    for change in (
        "free_slots = 0",
        "state = 'Draining'",
        "heartbeat_at = now() - interval '1 hour'",
        "slots = 16",
        "slots = 16",
    ):
        execute(f"update worker set {change} where id = %s", (register().worker.pk,))
    assert overdue.pools_with_work(silent_seconds=fleet.silent_seconds()) == [("default", 2)]


@pytest.mark.django_db
def test_the_ticketer_rings_for_what_has_just_become_due(monkeypatch):
    rung: list[tuple[str, int]] = []
    monkeypatch.setattr(tickets, "ring", lambda pool, count=1: rung.append((pool, count)))
    submit_echo(1)
    worker = register()
    worker.fail(worker.claim(), "transient")
    execute("update delayed set due_at = now() + interval '1 hour'")
    rung.clear()
    ticketer.one_pass()
    assert rung == []
    execute("update delayed set due_at = now()")
    assert ticketer.one_pass() == {"tasks due": 1}
    assert rung == [("default", 1)]


def test_whoever_rings_does_not_wait_for_redis(monkeypatch):
    pushed_by: list[threading.Thread] = []

    class Noting:
        def push(self, pool: str, at_most: int) -> int:
            pushed_by.append(threading.current_thread())
            return at_most

    monkeypatch.setattr(tickets, "TicketQueue", Noting)
    tickets.Ringer().ring("default", 1)
    until(lambda: pushed_by)
    assert pushed_by != [threading.current_thread()]


def test_a_process_that_was_forked_rings_by_itself(connection, redis_url, settings):
    settings.DAEF_REDIS_URL = redis_url
    ringer = tickets.Ringer()
    ringer.ring("default", 1)
    until(lambda: lying(connection))
    child = os.fork()
    if child == 0:
        try:
            ringer.ring("default", 2)
            threading.Event().wait(30)
        finally:
            os._exit(1)
    try:
        until(lambda: len(lying(connection)) == 2)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
