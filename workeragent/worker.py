"""Tickets from RQ: they wake the agent and carry nothing else.

RQ decides which agent of a pool gets a ticket; the claim decides which tasks. So a worker here
reads exactly one queue, runs exactly one function, never imports what a message names, and
keeps none of RQ's books: registries, retries, timeouts, results and commands are not used.
"""

import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from faultpoints import reach

TICKET_VERSION = 1

TICKET_FUNCTION = "workeragent.worker.run_ticket"
"""The only function a message may name."""

BLOCK_SECONDS = 1
"""How long one blocking pop waits, so that a stopping agent takes no ticket from others."""

PRESENCE_SECONDS = 30.0
"""How often the worker's entry for RQ's own pages is refreshed."""

PRESENCE_TTL_SECONDS = 120
"""How long that entry outlives an agent that was killed; RQ adds a minute."""

RECONNECT_SECONDS = (0.1, 1.0)
"""First and longest wait before Redis is tried again."""

ANSWER_SECONDS = 5.0
"""Redis answers within this, a blocking pop's own time included, or counts as down."""

QUIET_SECONDS = 30.0
"""Between two log lines about a Redis that does not answer."""

logger = logging.getLogger(__name__)


def run_ticket(*, v: int, pool: str) -> NoReturn:
    """The name tickets carry. Only an agent can act on one; RQ's own workers must not.

    Raises RuntimeError always: `TicketWorker` recognises a ticket without calling this.
    """
    raise RuntimeError(f"Ticket v{v} of pool {pool}: start `python -m workeragent` instead.")


class TicketWorker(SimpleWorker):
    """An RQ worker that does one thing with a message: recognise a ticket and wake the agent.

    ``wake`` returns at once; it never waits for tasks.
    """

    def __init__(
        self,
        connection: redis.Redis,
        queue_name: str,
        pool: str,
        name: str,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(
            [queue_name],
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=PRESENCE_TTL_SECONDS,
            prepare_for_work=False,
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._pool = pool
        self._wake = wake
        self._refreshed = time.monotonic()

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        """Leave our time limit alone: RQ would wait minutes for a Redis that is cut off."""
        return connection

    def listen(self, stop: threading.Event, *, back: bool = False) -> None:
        """Take tickets until ``stop`` is set. Raises redis' errors when Redis is away.

        ``back``: Redis was away, and tickets may have gone with it; the agent is woken once.
        """
        # After a cut connection our own entry is still there, and RQ would take it for another's.
        self.connection.delete(self.key)
        self.register_birth()  # type: ignore[no-untyped-call]
        if back:
            self._wake()
        try:
            while not stop.is_set():
                self._take(stop)
        finally:
            if stop.is_set():
                self.register_death()  # type: ignore[no-untyped-call]

    def _take(self, stop: threading.Event) -> None:
        queue = self.queues[0]
        try:
            _, job_id = Queue.lmove(self.connection, queue.key, BLOCK_SECONDS)
        except DequeueTimeout:
            pass
        else:
            self._handle(job_id.decode("utf-8", "replace"), queue, stop)
        self._refresh()

    def _handle(self, job_id: str, queue: Queue, stop: threading.Event) -> None:
        if stop.is_set():
            self._put_back(job_id)
            return
        try:
            job = Job.fetch(job_id, connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            # Nobody read it within its time: whatever it was for has been rung for again.
            self._drop(job_id)
        except redis.RedisError:
            raise
        except Exception as error:  # a broken message must not end the worker
            self._refuse(job_id, type(error).__name__)
        else:
            self.execute_job(job, queue)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Wake the agent if the message is a ticket, and drop the message in any case."""
        reason = refusal(job, self._pool)
        if reason:
            self._refuse(job.id, reason)
            return
        reach("worker.after_pop_before_claim")
        self._wake()
        self._drop(job.id)

    def _refuse(self, job_id: str, reason: str) -> None:
        # Never what the message says: it may be anybody's payload.
        logger.warning("refused a message on queue %s: %s", self.queues[0].name, reason)
        self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        with self.connection.pipeline(transaction=False) as pipeline:
            pipeline.lrem(self.queues[0].intermediate_queue_key, 1, job_id)
            pipeline.delete(Job.key_for(job_id))
            pipeline.execute()

    def _put_back(self, job_id: str) -> None:
        with self.connection.pipeline() as pipeline:
            pipeline.lrem(self.queues[0].intermediate_queue_key, 1, job_id)
            pipeline.lpush(self.queues[0].key, job_id)
            pipeline.execute()

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed > PRESENCE_SECONDS:
            self._refreshed = time.monotonic()
            self.heartbeat()


def refusal(job: Job, pool: str) -> str:
    """Why a message is not a ticket of this pool; empty when it is one.

    Reads the message as data only: nothing it names is imported.
    """
    try:
        called: Any = json.loads(job.data)
    except (ValueError, TypeError, RecursionError):
        return "not JSON"
    expected: list[Any] = [TICKET_FUNCTION, None, [], {"v": TICKET_VERSION, "pool": pool}]
    if not isinstance(called, list) or len(called) != len(expected):
        return "not a call"
    if called[0] != TICKET_FUNCTION:
        return "names another function"
    if called != expected:
        return "not a ticket of this pool and version"
    if job._success_callback_name or job._failure_callback_name or job._stopped_callback_name:
        return "carries a callback"
    return ""


def listen(
    url: str, queue_name: str, pool: str, name: str, wake: Callable[[], None], stop: threading.Event
) -> None:
    """Take tickets until ``stop`` is set, reconnecting whenever Redis was away."""
    first, longest = RECONNECT_SECONDS
    pause, complained, away = first, -QUIET_SECONDS, False
    connection = _connect(url)
    while not stop.is_set():
        began = time.monotonic()
        try:
            TicketWorker(connection, queue_name, pool, name, wake).listen(stop, back=away)
        except (redis.RedisError, OSError, ValueError) as error:
            away = True
            # Work still arrives meanwhile: heartbeats say when some waits.
            if time.monotonic() - complained > QUIET_SECONDS:
                complained = time.monotonic()
                logger.warning("no tickets for now: %s", type(error).__name__)
            lasted = time.monotonic() - began > ANSWER_SECONDS
            pause = first if lasted else min(longest, pause * 2)
            stop.wait(pause * random.uniform(0.5, 1.0))


def _connect(url: str) -> redis.Redis:
    """A client that fails at once: retries of its own would hide for seconds that Redis is back."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
