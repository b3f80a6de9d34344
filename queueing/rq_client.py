"""The only place that touches RQ and Redis: pushing and counting tickets."""

from collections.abc import Sequence

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

TICKET_FUNCTION = "workeragent.worker.run_ticket"
"""Dotted path of the one function agents run; the control plane never imports it."""

TICKET_VERSION = 1

TICKET_SECONDS = 60
"""How long an unread ticket lives; the ticketer writes new ones while work is ready."""

SOCKET_SECONDS = 2.0
"""Redis answers within this or counts as down: a wake-up is never worth waiting for."""


def connect(url: str) -> redis.Redis:
    """A client for the queue's Redis. Commands are not repeated: a lost ticket is written anew."""
    return redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def queue_name(pool: str) -> str:
    """The RQ queue of a pool; each agent listens to exactly one."""
    return f"daef-{pool}"


def serves_strangers(url: str) -> bool:
    """Whether the Redis at ``url`` answers who shows no password; False when it cannot be asked."""
    stranger = connect(url)
    for credential in ("username", "password"):
        stranger.connection_pool.connection_kwargs.pop(credential, None)
    try:
        return bool(stranger.ping())
    except redis.RedisError:
        return False
    finally:
        stranger.close()


class QueueUnavailable(Exception):
    """Redis does not answer, or does not take tickets."""


class TicketQueue:
    """Pushes tickets of any pool over one connection."""

    def __init__(self, url: str = "") -> None:
        self._redis = connect(url or settings.DAEF_REDIS_URL)

    def push(self, pool: str, at_most: int) -> int:
        """Make up to ``at_most`` tickets lie in the pool's queue; returns how many were added.

        Raises QueueUnavailable.
        """
        queue = Queue(queue_name(pool), connection=self._redis, serializer=JSONSerializer)
        try:
            missing = at_most - int(self._redis.llen(queue.key))
            if missing > 0:
                with self._redis.pipeline() as pipe:
                    # Tickets in the hands of agents that died there: nobody will ask for them.
                    pipe.delete(queue.intermediate_queue_key)
                    queue.enqueue_many([self._ticket(pool) for _ in range(missing)], pipeline=pipe)
                    pipe.execute()
        except redis.RedisError as error:
            raise QueueUnavailable(type(error).__name__) from error
        return max(missing, 0)

    def count(self, pools: Sequence[str]) -> dict[str, int]:
        """How many tickets lie in each pool's queue. Raises QueueUnavailable."""
        keys = [Queue(queue_name(pool), connection=self._redis).key for pool in pools]
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.llen(key)
                return dict(zip(pools, map(int, pipe.execute()), strict=True))
        except redis.RedisError as error:
            raise QueueUnavailable(type(error).__name__) from error

    def eviction_policy(self) -> str:
        """What Redis does when its memory is full; tickets need "noeviction", "" is not told.

        Raises QueueUnavailable when it does not answer.
        """
        try:
            # Asked by INFO, since managed services forbid CONFIG.
            return str(self._redis.info("memory").get("maxmemory_policy", ""))
        except redis.ResponseError:
            return ""
        except redis.RedisError as error:
            raise QueueUnavailable(type(error).__name__) from error

    @staticmethod
    def _ticket(pool: str):  # type: ignore[no-untyped-def]  # RQ's EnqueueData is untyped
        return Queue.prepare_data(
            TICKET_FUNCTION,
            kwargs={"v": TICKET_VERSION, "pool": pool},
            description="ticket",
            ttl=TICKET_SECONDS,
            result_ttl=0,
            failure_ttl=TICKET_SECONDS,
        )
