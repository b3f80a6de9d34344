"""The peers' stores: the same embedded servers, with the same durability, as the fabric's own.

PostgreSQL with fsync on, Redis with its append-only file synced every second; each measurement
gets an empty database.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from daef_site import stores


@dataclass(frozen=True)
class Stores:
    """Both servers, running."""

    postgres: stores.Postgres
    redis: stores.Redis
    folder: Path

    @property
    def dsn(self) -> str:
        """The address of the peers' database, as libpq and asyncpg read it."""
        _, _, address = self.postgres.dsn.removesuffix("/daef").partition("://")
        return f"postgresql://{address}/bench"

    @property
    def pids(self) -> dict[str, list[int]]:
        """The servers' processes by name."""
        servers = {"postgres": self.postgres.process, "redis": self.redis.process}
        return {name: [process.pid] for name, process in servers.items() if process}

    def empty(self) -> None:
        """Give up what the peer before has left, so that nobody pays for it."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()
        with psycopg.connect(self.postgres.dsn, autocommit=True) as connection:
            connection.execute("drop database if exists bench with (force)")
            connection.execute("create database bench")
            connection.execute("checkpoint")


@contextmanager
def started() -> Iterator[Stores]:
    """Both servers in a temporary folder, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="daef-bench-") as name:
        # Root's PostgreSQL runs as nobody, who must be able to pass through.
        os.chmod(name, 0o711)
        folder = Path(name)
        servers = (stores.Postgres(folder, keep=True), stores.Redis(folder, keep=True))
        try:
            for server in servers:
                stores.start(server)
            yield Stores(*servers, folder)
        finally:
            for server in servers:
                server.stop()
