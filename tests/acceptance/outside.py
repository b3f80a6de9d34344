"""Stores and agents beside a fabric, for tests that end them one by one."""

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from daef_site import children, ports, stores
from tests.acceptance.fabrics import ROOT, RunningFabric


class OutsideStores:
    """A PostgreSQL and a Redis of the test's own, which it can end and start again.

    The fabric gets an ordinary role, since PostgreSQL makes exceptions for superusers.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(exist_ok=True)
        data.chmod(0o711)
        self.postgres = stores.Postgres(data, keep=True)
        self.redis = stores.Redis(data, keep=False)

    def start(self) -> "OutsideStores":
        """Start both and make the fabric's role and database."""
        stores.start(self.redis)
        stores.start(self.postgres)
        with self.session() as session:
            session.execute("create role fabric login password 'fabric'")
            session.execute("create database fabric owner fabric")
        return self

    @property
    def dsn(self) -> str:
        """Where the fabric finds its database."""
        return f"postgres://fabric:fabric@127.0.0.1:{self.postgres.port}/fabric"

    def variables(self) -> dict[str, str]:
        """What tells a fabric of them."""
        return {
            "DAEF_STORE": "postgres",
            "DAEF_POSTGRES_DSN": self.dsn,
            "DAEF_QUEUE": "redis",
            "DAEF_REDIS_ADDR": self.redis.url,
            "DAEF_REDIS_AGENT_URL": self.redis.agent_url,
        }

    def session(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's session in the server's own database; roles and sessions are its matter."""
        return psycopg.connect(self.postgres.dsn, autocommit=True, connect_timeout=2)

    def rows(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """What the fabric's database answers."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=2) as session:
            found = session.execute(statement, parameters)
            return found.fetchall() if found.description else []

    def queue(self) -> redis.Redis:
        """A client for Redis."""
        return redis.Redis.from_url(self.redis.url, socket_timeout=2, socket_connect_timeout=2)

    def end(self, server: stores.Server, by: signal.Signals = signal.SIGKILL) -> None:
        """See a server end: all its processes by SIGKILL, its first one by any other signal."""
        assert server.process is not None
        if by is signal.SIGKILL:
            children.kill_session(server.process)
        else:
            server.process.send_signal(by)
        server.process.wait(20)

    def stop(self) -> None:
        """End both."""
        self.postgres.stop()
        self.redis.stop()


class AgentProcess:
    """``python -m workeragent`` as a process of the test's own, with its runner."""

    def __init__(self, fabric: RunningFabric, slots: int, **variables: str) -> None:
        kept = ("DAEF_DATA_DIR", "DAEF_TEST_KINDS")
        environment = {
            name: text
            for name, text in fabric.environment.items()
            if name[:5] != "DAEF_" or name in kept
        }
        self.output = fabric.data.parent / f"agent.{ports.free_port()}.out"
        self.process = children.spawn(
            [sys.executable, "-m", "workeragent"],
            log=self.output,
            environment=environment | {"DAEF_SLOTS": str(slots), **variables},
            folder=ROOT,
        )

    @property
    def pid(self) -> int:
        """Agents are named after host and pid."""
        return self.process.pid

    def tree(self) -> list[psutil.Process]:
        """The agent and its runner."""
        with suppress(psutil.NoSuchProcess):
            agent = psutil.Process(self.pid)
            return [agent, *agent.children(recursive=True)]
        return []

    def send(self, number: signal.Signals) -> None:
        """Send a signal to agent and runner."""
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def end(self) -> None:
        """Kill what is left of it."""
        children.kill_session(self.process)
        self.process.wait()
