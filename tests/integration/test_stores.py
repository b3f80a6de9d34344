import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from django.db import connection, connections

from daef_site import ground, stores


@pytest.fixture
def data(make_folder: Callable[[], Path]) -> Path:
    """A data folder that any user may pass through, as a fabric of root's makes it."""
    return make_folder()


@pytest.fixture
def kept(data: Path):
    """A durable PostgreSQL."""
    server = stores.Postgres(data, keep=True)
    stores.start(server)
    yield server
    server.stop()


def rows(server: stores.Postgres) -> list[tuple[int]]:
    with psycopg.connect(server.dsn) as session:
        return session.execute("select n from kept order by n").fetchall()


def write(server: stores.Postgres) -> None:
    with psycopg.connect(server.dsn) as session:
        session.execute("create table if not exists kept (n int)")
        session.execute("insert into kept values (1)")


def process_of(server: stores.Server) -> psutil.Process:
    assert server.process is not None
    return psutil.Process(server.process.pid)


def kill(server: stores.Server) -> None:
    assert server.process is not None
    server.process.kill()
    server.process.wait()


@pytest.mark.django_db
def test_sessions_have_time_limits():
    with connection.cursor() as cursor:
        for name, limit in (
            ("statement_timeout", "30s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("application_name", "daef"),
        ):
            cursor.execute(f"show {name}")
            assert cursor.fetchone() == (limit,)


@pytest.mark.django_db(transaction=True)
def test_threads_of_a_test_have_connections_of_their_own():
    backends = set()

    def note() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            backends.add(cursor.fetchone())
        connections.close_all()

    threads = [threading.Thread(target=note) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(backends) == 3


def test_agents_may_use_the_queues_keys_only(test_stores):
    agent = redis.Redis.from_url(test_stores.agent_redis_url)
    agent.lpush("rq:queue:default", "x")
    for command in ("SET other 1", "CONFIG GET *", "FLUSHALL", "KEYS *", "SHUTDOWN", "ACL LIST"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            agent.execute_command(*command.split())
    agent.close()


def test_redis_refuses_those_without_the_password(test_stores):
    host = test_stores.redis_url.rpartition("@")[2]
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis.from_url(f"redis://{host}").ping()


def test_committed_rows_outlive_kill_9_of_postgres(kept: stores.Postgres):
    write(kept)
    kill(kept)
    stores.start(kept)
    assert rows(kept) == [(1,)]


def test_a_server_that_outlived_its_fabric_is_replaced(data: Path, kept: stores.Postgres):
    write(kept)
    orphan = process_of(kept)
    successor = stores.Postgres(data, keep=True)
    try:
        stores.start(successor)
        assert rows(successor) == [(1,)]
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    finally:
        successor.stop()


def test_a_private_store_leaves_nothing(data: Path):
    for server in (stores.Postgres(data, keep=False), stores.Redis(data, keep=False)):
        stores.start(server)
        server.stop()
    assert sorted(entry.name for entry in data.iterdir()) == ["logs", "postgres.password"]


def test_a_kept_redis_has_its_lists_after_kill_9(data: Path):
    server = stores.Redis(data, keep=True)
    try:
        stores.start(server)
        client = redis.Redis.from_url(server.url)
        client.lpush("rq:queue:default", "x")
        client.execute_command("WAITAOF", 1, 0, 5000)
        client.close()
        kill(server)
        stores.start(server)
        with redis.Redis.from_url(server.url) as client:
            assert client.lrange("rq:queue:default", 0, -1) == [b"x"]
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL is another user")
def test_roots_postgres_runs_where_the_checkout_and_data_folder_cannot_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    # A link is enough to make the path one that nobody cannot enter.
    (closed / "packages").symlink_to(ground._packages())
    monkeypatch.setattr(ground, "_packages", lambda: closed / "packages")
    server = stores.Postgres(closed, keep=True)
    try:
        stores.start(server)
        write(server)
        assert rows(server) == [(1,)]
        binary = process_of(server).exe()
        assert not binary.startswith(str(closed))
        assert (closed / ground.POINTER).exists()
    finally:
        server.stop()
        far = Path((closed / ground.POINTER).read_text().strip())
        ground.forget(closed)
        ground.forget_binaries()
    assert not far.exists()
    assert not Path(binary).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL is another user")
def test_a_private_store_elsewhere_leaves_nothing_there(tmp_path: Path):
    tmp_path.chmod(0o700)
    server = stores.Postgres(tmp_path, keep=False)
    far = Path((tmp_path / ground.POINTER).read_text().strip())
    stores.start(server)
    server.stop()
    assert not far.exists()
    assert not (tmp_path / ground.POINTER).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL is another user")
def test_a_cluster_out_of_reach_is_said_and_not_replaced_by_an_empty_one(data: Path):
    (data / "postgres").mkdir()
    data.chmod(0o700)
    with pytest.raises(ground.NoGround, match="chmod"):
        stores.Postgres(data, keep=True)
