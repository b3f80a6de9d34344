"""What RQ keeps in Redis, read for the console: tickets, agents' entries, registries.

Nothing here changes anything. Tickets only say that a pool has work; what waits is in the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY

from queueing.rq_client import SOCKET_SECONDS, QueueUnavailable, queue_name

GLANCE_SECONDS: Final = 1.0
"""Redis answers a page within this or counts as away; pages are answered all the same."""

MOST_AGENTS: Final = 200


@dataclass(frozen=True)
class QueueState:
    """One pool's tickets: how many lie there, since when, how many failed or are in hand."""

    pool: str
    name: str
    tickets: int
    oldest_at: datetime | None
    in_hand: int
    failed: int
    agents: int


@dataclass(frozen=True)
class AgentEntry:
    """An agent as it has entered itself with RQ."""

    name: str
    queues: str
    state: str
    host: str
    pid: str
    born_at: datetime | None
    seen_at: datetime | None


def connect_briefly() -> redis.Redis:
    """A client that waits for Redis no longer than a page may."""
    return redis.Redis.from_url(
        settings.DAEF_REDIS_URL,
        socket_timeout=GLANCE_SECONDS,
        socket_connect_timeout=GLANCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def answers() -> bool:
    """Tell whether Redis answers at a glance."""
    try:
        with connect_briefly() as connection:
            return bool(connection.ping())
    except (redis.RedisError, ValueError):
        # ValueError: no address of a Redis is known.
        return False


def queue_states(pools: Sequence[str]) -> list[QueueState]:
    """Return what lies in the queues of these pools; two round trips, however many they are.

    Raises QueueUnavailable.
    """
    try:
        with connect_briefly() as connection:
            counts = _counts(connection, pools)
            ages = _oldest(connection, [row[0] for row in counts])
    except (redis.RedisError, ValueError) as error:
        raise QueueUnavailable(type(error).__name__) from error
    return [
        QueueState(pool, queue_name(pool), tickets, age, in_hand, failed, agents)
        for pool, (_, tickets, in_hand, failed, agents), age in zip(
            pools, counts, ages, strict=True
        )
    ]


def agent_entries() -> list[AgentEntry]:
    """Return the agents' own entries, by name. Raises QueueUnavailable."""
    try:
        with connect_briefly() as connection:
            keys = sorted(connection.smembers(REDIS_WORKER_KEYS))[:MOST_AGENTS]
            pipeline = connection.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            found = pipeline.execute()
    except (redis.RedisError, ValueError) as error:
        raise QueueUnavailable(type(error).__name__) from error
    # A key without fields is an entry that has expired.
    return [_entry(key, fields) for key, fields in zip(keys, found, strict=True) if fields]


def _counts(connection: redis.Redis, pools: Sequence[str]) -> list[list[Any]]:
    pipeline = connection.pipeline(transaction=False)
    for pool in pools:
        name = queue_name(pool)
        key = f"{Queue.redis_queue_namespace_prefix}{name}"
        pipeline.lindex(key, 0)
        pipeline.llen(key)
        for registry in (StartedJobRegistry, FailedJobRegistry):
            pipeline.zcard(registry.key_template.format(name))
        pipeline.scard(WORKERS_BY_QUEUE_KEY % name)
    answers = pipeline.execute()
    return [answers[index : index + 5] for index in range(0, len(answers), 5)]


def _oldest(connection: redis.Redis, tickets: Sequence[bytes | None]) -> list[datetime | None]:
    pipeline = connection.pipeline(transaction=False)
    for ticket in tickets:
        pipeline.hget(Job.key_for((ticket or b"none").decode("utf-8", "replace")), "enqueued_at")
    return [_moment(each) for each in pipeline.execute()]


def _entry(key: bytes, fields: dict[bytes, bytes]) -> AgentEntry:
    def told(name: str) -> str:
        return fields.get(name.encode(), b"").decode("utf-8", "replace")[:200]

    return AgentEntry(
        name=key.decode("utf-8", "replace").removeprefix("rq:worker:")[:200],
        queues=told("queues"),
        state=told("state"),
        host=told("hostname"),
        pid=told("pid"),
        born_at=_moment(fields.get(b"birth")),
        seen_at=_moment(fields.get(b"last_heartbeat")),
    )


def _moment(value: bytes | None) -> datetime | None:
    """Return a time that RQ wrote, in UTC without saying so; None for what is none."""
    try:
        time = datetime.fromisoformat((value or b"").decode().replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def ticket_settings() -> dict[str, str]:
    """Return how RQ's own pages reach a queue: our Redis, tickets as JSON."""
    url = settings.DAEF_REDIS_URL
    joint = "&" if "?" in url else "?"
    limits = f"socket_timeout={SOCKET_SECONDS}&socket_connect_timeout={SOCKET_SECONDS}"
    return {
        "URL": f"{url}{joint}{limits}",
        "SERIALIZER": "json",
    }
