"""A fabric on this machine: the stores, HTTP, the control plane and agents under one supervisor.

``gateway`` starts stores, HTTP and control plane; ``up`` adds agents. The first of them in a data
folder holds its lock, owns the stores and writes ``fabric.json``; a later gateway joins it.
"""

import fcntl
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psycopg
import redis
from django.conf import settings
from django.db import connection, connections

from audit.events import INTERNAL
from daef_site import checks, env, fabric, first_login, ports, stores
from daef_site import settings as site_settings
from daef_site.exposure import EVERY_DOOR, HTTP
from daef_site.migrations_lock import apply_migrations
from daef_site.processes import CannotStart, Wish, become_http, start_agents, start_gateway
from daef_site.supervisor import Child, StopAsked, Supervisor, ignore_signals, listen_for_stop, say
from jobs.actions import restoring

# How long to wait for the fabric.json of a fabric that is just starting.
JOIN_SECONDS = 90.0


def run(wish: Wish) -> None:
    """Start what is wished for, keep it running until asked to stop, stop it in order.

    Raises CannotStart, checks.UnsafeConfiguration, ports.PortTaken or stores.StoreFailed.
    """
    _say_warnings(checks.require_safe_settings(_doors(wish)))
    fabric.make_data_folder(settings.DAEF_DATA_DIR)
    listen_for_stop()
    supervisor = Supervisor()
    try:
        _run(wish, supervisor)
    except StopAsked:
        pass
    finally:
        _stop(supervisor)
    say("stop", "everything has ended")


def serve_http() -> None:
    """Become the HTTP server of stores that are elsewhere; nothing is supervised here.

    For containers: what it says goes to standard output, and when it ends, so does the process.
    Returns only when asked to stop before it serves. Raises as ``run`` does.
    """
    if (settings.DAEF_STORE, settings.DAEF_QUEUE) != ("postgres", "redis"):
        raise CannotStart(
            "--foreground starts no stores: set DAEF_STORE=postgres and DAEF_QUEUE=redis."
        )
    _say_warnings(checks.require_safe_settings(frozenset({HTTP})))
    fabric.make_data_folder(settings.DAEF_DATA_DIR)
    listen_for_stop()
    try:
        ports.require_free(*settings.DAEF_HTTP_ADDR, "DAEF_HTTP_ADDR")
        _say_warnings(checks.require_safe_stores(processes=1, migrated=False))
        _migrate()
        _require_callers(Wish(http_only=True))
        _notice_restored()
        say("gateway", f"serves {env.shown_address(*settings.DAEF_HTTP_ADDR)}")
        become_http()
    except StopAsked:
        say("stop", "before it served")


def _doors(wish: Wish) -> frozenset[str]:
    return frozenset({HTTP}) if wish.http_only else EVERY_DOOR


def _say_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        say("warning", warning)


def _stop(supervisor: Supervisor) -> None:
    ignore_signals()
    if supervisor.children:
        say("stop", " · ".join(child.name for child in reversed(supervisor.children)))
    supervisor.stop()


def _run(wish: Wish, supervisor: Supervisor) -> None:
    lock = take_lock(settings.DAEF_DATA_DIR)
    if lock is None and wish.alone:
        raise CannotStart(
            f"a fabric already runs in {settings.DAEF_DATA_DIR} (pid "
            f"{_lock_holder(settings.DAEF_DATA_DIR)}). Stop it, or set DAEF_DATA_DIR (and "
            "DAEF_HTTP_ADDR, DAEF_GRPC_ADDR) for a second one."
        )
    _require_free_ports(wish)
    if lock is None:
        _join(wish, supervisor)
    else:
        with lock:
            try:
                _own(wish, supervisor)
            finally:
                # While the folder is still ours: this may remove private data from it.
                _stop(supervisor)


def _require_free_ports(wish: Wish) -> None:
    ports.require_free(*settings.DAEF_HTTP_ADDR, "DAEF_HTTP_ADDR")
    if not wish.http_only:
        ports.require_free(*settings.DAEF_GRPC_ADDR, "DAEF_GRPC_ADDR")


def take_lock(data: Path) -> IO[str] | None:
    """The open, locked file; None where another process holds it."""
    file = (data / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _lock_holder(data: Path) -> str:
    return (data / "lock").read_text(encoding="ascii") or "unknown"


def _join(wish: Wish, supervisor: Supervisor) -> None:
    """Serve beside the fabric that holds the folder, and end with it."""
    found = _wait_for_fabric(settings.DAEF_DATA_DIR)
    say("fabric", f"joins pid {found.pid} in {settings.DAEF_DATA_DIR}")
    _use_store(found.postgres_dsn)
    _require_callers(wish)
    start_gateway(wish, supervisor)
    supervisor.watch(lambda: found.alive)
    say("fabric", f"pid {found.pid} has ended, so this gateway ends too")


def _wait_for_fabric(data: Path) -> fabric.Fabric:
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        if found := fabric.living(data):
            return found
        time.sleep(0.1)
    raise CannotStart(
        f"pid {_lock_holder(data)} holds {data}, but no fabric came up in {JOIN_SECONDS:g} s; "
        "stop that process, or set DAEF_DATA_DIR."
    )


def _own(wish: Wish, supervisor: Supervisor) -> None:
    """Start everything in this folder, and tell the others by fabric.json."""
    data = settings.DAEF_DATA_DIR
    dsn = _start_store(data, supervisor)
    queue_url, agent_queue_url = _start_queue(data, supervisor)
    _use_store(dsn)
    processes = len(_doors(wish))
    _say_warnings(checks.require_safe_stores(processes=processes, migrated=False))
    _migrate()
    _require_callers(wish)
    _notice_restored()
    fabric.write(
        data,
        fabric.Fabric(
            pid=os.getpid(),
            started_at=fabric.own_start(),
            http=env.shown_address(*settings.DAEF_HTTP_ADDR),
            grpc=env.shown_address(*settings.DAEF_GRPC_ADDR),
            postgres_dsn=dsn,
            redis_url=queue_url,
            agent_redis_url=agent_queue_url,
            agent_token=settings.DAEF_AGENT_TOKEN or secrets.token_urlsafe(32),
            store=settings.DAEF_STORE,
            queue=settings.DAEF_QUEUE,
        ),
    )
    try:
        start_gateway(wish, supervisor)
        start_agents(wish, supervisor)
        _say_where()
        supervisor.watch()
    finally:
        _stop(supervisor)
        fabric.remove(data)
        _say_what_is_gone()


def _use_store(dsn: str) -> None:
    connections.settings["default"].update(site_settings.database(dsn, pool_max=0))


def _require_callers(wish: Wish) -> None:
    try:
        checks.require_callers(_doors(wish))
    finally:
        # The supervisor must not hold a session for days.
        connection.close()


def _notice_restored() -> None:
    if restored := restoring.notice(INTERNAL):
        say("postgres", str(restored))
    connection.close()


def _migrate() -> None:
    began = time.monotonic()
    apply_migrations()
    say("migrations", f"applied in {time.monotonic() - began:.1f} s")


# ── the stores ────────────────────────────────────────────────────────────────────────────────────


def _start_store(data: Path, supervisor: Supervisor) -> str:
    if settings.DAEF_STORE == "postgres":
        return _outside_postgres(settings.DAEF_POSTGRES_DSN)
    keep = settings.DAEF_STORE == "embedded"
    server = stores.Postgres(data, keep=keep, name="postgres" if keep else "postgres-memory")
    _start_server(server, supervisor)
    return server.dsn


def _start_queue(data: Path, supervisor: Supervisor) -> tuple[str, str]:
    if settings.DAEF_QUEUE == "redis":
        _outside_redis(settings.DAEF_REDIS_URL)
        return settings.DAEF_REDIS_URL, settings.DAEF_REDIS_AGENT_URL
    keep = settings.DAEF_QUEUE == "embedded"
    server = stores.Redis(data, keep=keep, name="redis" if keep else "redis-memory")
    _start_server(server, supervisor)
    return server.url, settings.DAEF_REDIS_AGENT_URL or server.agent_url


def _start_server(server: stores.Postgres | stores.Redis, supervisor: Supervisor) -> None:
    def relaunch() -> subprocess.Popen[bytes]:
        server.launch()
        assert server.process is not None
        return server.process

    def end(_process: subprocess.Popen[bytes]) -> None:
        server.stop()

    child = Child(server.name, server.log, relaunch, end)
    # Listed before it starts, so that an interrupted start is stopped as well.
    supervisor.children.append(child)
    seconds = stores.start(server)
    child.process, child.started = server.process, time.monotonic()
    kept = "its data is kept" if server.keep else "private, its data goes when this stops"
    say(server.name, f"ready in {seconds:.1f} s   {kept}")


def _outside_postgres(dsn: str) -> str:
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            where = f"{connection.info.host}:{connection.info.port}"
    except psycopg.Error as error:
        first_line = str(error).strip().splitlines()[0]
        raise CannotStart(
            f"DAEF_POSTGRES_DSN: {first_line}. Start that server (`make infra-up` starts one on "
            "127.0.0.1:5432) or correct the address."
        ) from error
    say("postgres", f"answers          {where}")
    return dsn


def _outside_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        raise CannotStart(
            f"DAEF_REDIS_ADDR: {error} Start that server (`make infra-up` starts one on "
            "127.0.0.1:6379) or correct the address and DAEF_REDIS_PASSWORD."
        ) from error
    finally:
        client.close()
    where = client.connection_pool.connection_kwargs
    say("redis", f"answers          {where.get('host')}:{where.get('port')}")


def _say_what_is_gone() -> None:
    private = [
        name
        for name, kind in (("postgres", settings.DAEF_STORE), ("redis", settings.DAEF_QUEUE))
        if kind == "memory"
    ]
    if private:
        say("stop", f"{' and '.join(private)}: private data removed (DAEF_STORE=embedded keeps it)")


def _say_where() -> None:
    base = f"http://{env.shown_address(*settings.DAEF_HTTP_ADDR)}"
    say("ready", f"API {base}/v1 · docs {base}/v1/docs · console {base}/admin/")
    _say_first_login()
    say("", f"logs {settings.DAEF_DATA_DIR}/logs · Ctrl-C stops it")


def _say_first_login() -> None:
    address = first_login.loopback_address()
    if address is not None:
        link = first_login.new_link(address)
        # The supervisor needs the database no more, and must not hold a session for days.
        connection.close()
        say("console", f"{link}   logs in once, within an hour")
