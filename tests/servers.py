"""The servers that a test run uses: its own, or those that the environment names."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daef_site import stores


@dataclass(frozen=True)
class Stores:
    """Where the test run's servers are."""

    data: Path
    postgres_dsn: str
    redis_url: str
    agent_redis_url: str


@contextmanager
def servers_for_tests(data: Path) -> Iterator[Stores]:
    """A PostgreSQL and a Redis that keep nothing, in this folder."""
    dsn = os.environ.get("DAEF_TEST_POSTGRES_DSN", "")
    redis_url = os.environ.get("DAEF_TEST_REDIS_URL", "")
    agent_url = os.environ.get("DAEF_TEST_REDIS_AGENT_URL", "") or redis_url
    with ExitStack() as ends:
        if not redis_url:
            redis = stores.Redis(data, keep=False)
            ends.callback(redis.stop)
            stores.start(redis)
            redis_url, agent_url = redis.url, redis.agent_url
        if not dsn:
            postgres = stores.Postgres(data, keep=False)
            ends.callback(postgres.stop)
            stores.start(postgres)
            dsn = postgres.dsn
        yield Stores(data, dsn, redis_url, agent_url)
