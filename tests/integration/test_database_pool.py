import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from daef_site import ports
from daef_site.database import pool as pools
from daef_site.database.pool import Connection, Pool, PoolTimeout
from tests.integration.agent_control_plane import until

MakePool = Callable[..., Pool]


@pytest.fixture
def connect(test_stores) -> Callable[[], Connection]:
    return lambda: psycopg.connect(test_stores.postgres_dsn, autocommit=True)


@pytest.fixture
def make_pool(connect) -> Iterator[MakePool]:
    """Makes pools of two connections with half a second of patience; closes them at the end."""
    made: list[Pool] = []

    def make(open_new=connect, **changed) -> Pool:
        limits = {"max_size": 2, "timeout": 0.5, "max_idle": 60.0} | changed
        made.append(Pool(open_new, **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


def session(connection: Connection) -> int:
    """The server's process behind a connection that answers."""
    row = connection.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    return int(str(row[0]))


def sessions(connect: Callable[[], Connection], *found: int) -> int:
    """How many of these server processes are there."""
    with connect() as asking:
        row = asking.execute(
            "select count(*) from pg_stat_activity where pid = any(%s)", [list(found)]
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


def terminate(connect: Callable[[], Connection], pid: int) -> None:
    with connect() as killer:
        killer.execute("select pg_terminate_backend(%s, 5000)", [pid])


def in_the_background(pool: Pool) -> tuple[threading.Thread, list[Any]]:
    """Somebody who waits for a connection of the pool; what he gets is in the list."""
    got: list[Any] = []

    def take() -> None:
        try:
            got.append(pool.getconn())
        except psycopg.OperationalError as error:
            got.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    return thread, got


def test_a_connection_that_came_back_is_used_again(make_pool: MakePool):
    pool = make_pool()
    first = pool.getconn()
    pool.putconn(first)
    assert pool.getconn() is first
    pool.putconn(first)


def test_sessions_that_the_server_ended_are_replaced_without_an_error(make_pool, connect):
    pool = make_pool()
    held = [pool.getconn(), pool.getconn()]
    pids = [session(each) for each in held]
    for each, pid in zip(held, pids, strict=True):
        pool.putconn(each)
        terminate(connect, pid)
    began = time.monotonic()
    again = [pool.getconn(), pool.getconn()]
    assert not {session(each) for each in again} & set(pids)
    assert time.monotonic() - began < 0.5, "somebody waited for the dead ones"
    for each in again:
        pool.putconn(each)


def test_a_database_that_refuses_is_told_of_at_once(make_pool: MakePool):
    nobody = f"postgres://daef@127.0.0.1:{ports.free_port()}/daef"
    pool = make_pool(lambda: psycopg.connect(nobody), timeout=30)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError, match="refused"):
            pool.getconn()
    assert time.monotonic() - began < 5


def test_the_first_caller_after_an_outage_is_served(make_pool: MakePool, connect):
    away = True

    def open_new() -> Connection:
        if away:
            raise psycopg.OperationalError("away")
        return connect()

    pool = make_pool(open_new)
    for _ in range(20):
        with pytest.raises(psycopg.OperationalError):
            pool.getconn()
    away = False
    began = time.monotonic()
    pool.putconn(pool.getconn())
    assert time.monotonic() - began < 0.5, "a failed try was waited for"


def test_no_more_are_open_than_allowed_and_who_waits_in_vain_is_told(make_pool: MakePool):
    pool = make_pool()
    held = [pool.getconn(), pool.getconn()]
    with pytest.raises(PoolTimeout, match="2 connections"):
        pool.getconn()
    for each in held:
        pool.putconn(each)


def test_who_waits_gets_the_connection_that_comes_back(make_pool: MakePool):
    pool = make_pool(timeout=30)
    one, other = pool.getconn(), pool.getconn()
    thread, got = in_the_background(pool)
    pool.putconn(one)
    thread.join(10)
    assert got == [one]
    pool.putconn(one)
    pool.putconn(other)


def test_nobody_is_overtaken(make_pool: MakePool):
    pool = make_pool(max_size=1, timeout=30)
    only = pool.getconn()
    waiting = [in_the_background(pool)]
    until(lambda: len(pool._line) == 1)
    waiting.append(in_the_background(pool))
    until(lambda: len(pool._line) == 2)
    pool.putconn(only)
    # The one who gives it back wants it again at once, and comes third.
    waiting.append(in_the_background(pool))
    for thread, got in waiting:
        thread.join(10)
        assert got == [only]
        assert not any(later for _, later in waiting[waiting.index((thread, got)) + 1 :])
        pool.putconn(only)


def test_who_is_refused_gets_the_connection_of_another_caller(make_pool: MakePool, connect):
    room = iter([connect])

    def open_new() -> Connection:
        with suppress(StopIteration):
            return next(room)()
        raise psycopg.OperationalError("too many connections")

    pool = make_pool(open_new, timeout=30)
    only = pool.getconn()
    thread, got = in_the_background(pool)
    pool.putconn(only)
    thread.join(10)
    assert got == [only]
    pool.putconn(only)


def test_who_is_refused_is_told_why_when_the_last_connection_breaks(make_pool, connect):
    room = iter([connect])

    def open_new() -> Connection:
        with suppress(StopIteration):
            return next(room)()
        raise psycopg.OperationalError("too many connections")

    pool = make_pool(open_new, timeout=30)
    only = pool.getconn()
    thread, got = in_the_background(pool)
    only.close()
    pool.putconn(only)
    thread.join(10)
    assert "too many" in str(got[0])


def test_a_pool_grows_again_while_others_wait_once_the_server_has_room(
    make_pool: MakePool, connect, monkeypatch
):
    room = iter([connect])
    full = True

    def open_new() -> Connection:
        if not full:
            return connect()
        with suppress(StopIteration):
            return next(room)()
        raise psycopg.OperationalError("too many connections")

    pool = make_pool(open_new, timeout=30)
    only = pool.getconn()
    thread, got = in_the_background(pool)
    until(lambda: len(pool._line) == 1)
    full = False
    monkeypatch.setattr(pools, "TRY_AGAIN_SECONDS", 0.0)
    another = pool.getconn()
    assert another is not only
    for each in (only, another):
        pool.putconn(each)
    thread.join(10)
    pool.putconn(got[0])


def test_places_of_broken_connections_are_free_again(make_pool: MakePool):
    pool = make_pool()
    for _ in range(6):
        broken = pool.getconn()
        broken.close()
        pool.putconn(broken)
    held = [pool.getconn(), pool.getconn()]
    for each in held:
        pool.putconn(each)


def test_an_open_transaction_is_not_handed_to_the_next(make_pool: MakePool, connect):
    pool = make_pool()
    taken = pool.getconn()
    pid = session(taken)
    taken.execute("begin")
    pool.putconn(taken)
    following = pool.getconn()
    assert session(following) != pid
    pool.putconn(following)


def test_a_connection_does_not_live_for_ever(make_pool: MakePool, monkeypatch):
    pool = make_pool()
    old = pool.getconn()
    monkeypatch.setattr(pools, "LONGEST_LIFE_SECONDS", 0.0)
    pool.putconn(old)
    assert old.closed


def test_what_nobody_uses_is_closed_after_a_while(make_pool: MakePool, connect):
    pool = make_pool(max_idle=0.2)
    held = [pool.getconn(), pool.getconn()]
    pids = [session(each) for each in held]
    for each in held:
        pool.putconn(each)
    deadline = time.monotonic() + 10
    while sessions(connect, *pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sessions(connect, *pids) == 0
    pool.putconn(pool.getconn())


def test_a_closed_pool_keeps_nothing(make_pool: MakePool):
    pool = make_pool()
    idle, lent = pool.getconn(), pool.getconn()
    pool.putconn(idle)
    pool.close()
    assert idle.closed
    pool.putconn(lent)
    assert lent.closed
