"""Tickets through a real Redis: what wakes the agent, what is refused, what stays behind."""

import threading
from collections.abc import Iterator

import pytest
import redis
from rq import Callback, Queue
from rq.serializers import JSONSerializer

from tests.integration.agent_control_plane import until
from workeragent.worker import TICKET_FUNCTION, TicketWorker, listen


@pytest.fixture
def connection(redis_url) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def queue(connection) -> Queue:
    return Queue("daef-default", connection=connection, serializer=JSONSerializer)


@pytest.fixture
def woken(redis_url) -> Iterator[list[int]]:
    """An agent's ticket worker; yields a list that grows with each accepted ticket."""
    wakes: list[int] = []
    stop = threading.Event()
    arguments = (redis_url, "daef-default", "default", "agent", lambda: wakes.append(1), stop)
    thread = threading.Thread(target=listen, args=arguments)
    thread.start()
    yield wakes
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def ticket(queue: Queue, pool: str = "default", **options: object):
    return queue.enqueue(TICKET_FUNCTION, v=1, pool=pool, **options)


def woken_by(wakes: list[int], count: int) -> None:
    until(lambda: len(wakes) == count)


def left_behind(connection) -> set[bytes]:
    """Keys of tickets and queues; the worker's own entry is not one of them."""
    return {key for key in connection.keys("rq:*") if b"worker" not in key and key != b"rq:queues"}


def test_a_ticket_wakes_the_agent_and_leaves_nothing_in_redis(connection, queue, woken):
    for _ in range(3):
        ticket(queue)
    until(lambda: len(woken) == 3)
    until(lambda: not left_behind(connection))


def test_a_message_that_names_another_function_is_dropped_and_never_run(
    connection, queue, woken, tmp_path
):
    mark = tmp_path / "mark"
    queue.enqueue("os.system", f"touch {mark}")
    ticket(queue, on_success=Callback("os.system"))
    ticket(queue, pool="another")
    ticket(queue)
    until(lambda: len(woken) == 1)
    until(lambda: not left_behind(connection))
    assert woken == [1]
    assert not mark.exists()


def test_a_broken_message_does_not_end_the_worker(connection, queue, woken):
    connection.hset("rq:job:broken", mapping={"data": b"x", "status": "nonsense"})
    connection.rpush(queue.key, "broken", "missing")
    ticket(queue)
    until(lambda: woken)
    assert woken == [1]
    until(lambda: not left_behind(connection))


def test_a_ticket_costs_few_redis_commands(connection, queue, woken):
    ticket(queue)
    until(lambda: woken)
    until(lambda: not left_behind(connection))
    before = connection.info("commandstats")
    for count in range(20):
        ticket(queue)
        woken_by(woken, count + 2)
    after = connection.info("commandstats")
    calls = {
        name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"]
        for name in ("cmdstat_blmove", "cmdstat_hgetall", "cmdstat_lrem", "cmdstat_del")
    }
    assert all(20 <= number <= 25 for number in calls.values()), calls
    assert after.get("cmdstat_zadd") == before.get("cmdstat_zadd")


def test_a_ticket_taken_by_an_agent_that_leaves_is_put_back(connection, queue):
    wakes: list[int] = []
    worker = TicketWorker(connection, queue.name, "default", "leaving", lambda: wakes.append(1))
    ticket(queue)
    leaving = threading.Event()
    leaving.set()
    worker._take(leaving)
    assert wakes == []
    assert queue.count == 1


def test_the_worker_comes_back_after_redis_cut_it_off(connection, queue, woken):
    ticket(queue)
    until(lambda: len(woken) == 1)
    connection.client_kill_filter(_type="normal", skipme=True)
    # Once for what may have been lost meanwhile, and then for each ticket.
    until(lambda: len(woken) == 2)
    ticket(queue)
    until(lambda: len(woken) == 3)
    until(lambda: not left_behind(connection))
