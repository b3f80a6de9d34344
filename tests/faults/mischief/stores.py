"""Faults of the stores: death, sleep, full disks and memories, lost sessions, lost tickets."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable

import psutil
import redis

from queueing.rq_client import TicketQueue, queue_name
from tests.faults import foundation
from tests.faults.cluster import Cluster
from tests.faults.mischief.kind import Kind, Mischief
from tests.faults.mischief.processes import send

POOL = "default"
QUEUE = f"rq:queue:{queue_name(POOL)}"
HELD_ROWS = 60


def _processes(cluster: Cluster, store: str) -> list[psutil.Process]:
    """The server of a store, then what it has started."""
    process = getattr(cluster, store).process
    if process is None or process.poll() is not None:
        return []
    server = psutil.Process(process.pid)
    return [server, *server.children(recursive=True)]


def _kill(store: str) -> Mischief:
    """Every process of a store dies at once; Redis comes back empty."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        # The server first, so that it starts nothing anew.
        killed = [send(signal.SIGKILL, each) for each in _processes(cluster, store)]
        return killed[0] if killed else ""

    return act


def quit_postgres(cluster: Cluster, chance: random.Random) -> str:
    """PostgreSQL shuts down at once (``-m immediate``): no checkpoint, sessions are told."""
    processes = _processes(cluster, "postgres")
    return send(signal.SIGQUIT, processes[0]) if processes else ""


def _stop(store: str) -> Mischief:
    """A store stands still for a moment, with all its connections open."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        processes = _processes(cluster, store)
        stopped = [send(signal.SIGSTOP, each) for each in processes]
        # From a thread of its own: whoever tends the fabric may wait for this very store.
        seconds = chance.uniform(0.5, cluster.longest_stop)
        threading.Timer(seconds, lambda: [send(signal.SIGCONT, each) for each in processes]).start()
        return f"{seconds:.1f} s" if any(stopped) else ""

    return act


def terminate_backends(cluster: Cluster, chance: random.Random) -> str:
    """Some sessions of ours are ended by the database, whatever they are doing."""
    with cluster.connect() as connection:
        ended = connection.execute(
            "select pid, pg_terminate_backend(pid) from pg_stat_activity "
            "where usename = %s order by random() limit %s",
            (foundation.ROLE, chance.randint(1, 4)),
        ).fetchall()
    return f"{len(ended)} sessions" if ended else ""


def exhaust_connections(cluster: Cluster, chance: random.Random) -> str:
    """The fabric may open no more sessions for a while, and loses most of those it has."""

    def restore() -> None:
        with cluster.connect() as connection:
            connection.execute(f"alter role {foundation.ROLE} connection limit -1")

    with cluster.connect() as connection:
        connection.execute(f"alter role {foundation.ROLE} connection limit 2")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s",
            (foundation.ROLE,),
        )
    cluster.after(chance.uniform(0.8, 1.6), _until_done(cluster, restore))
    return "2 sessions are left"


def _until_done(cluster: Cluster, work: Callable[[], None]) -> Callable[[], None]:
    """Try again a moment later where the database is away."""

    def attempt() -> None:
        try:
            work()
        except Exception:
            cluster.after(0.2, attempt)

    return attempt


def hold_rows(cluster: Cluster, chance: random.Random) -> str:
    """A forgotten transaction holds some of the tasks that wait."""
    connection = cluster.connect()
    connection.autocommit = False
    held = connection.execute(
        "select t.id from task t join ready r on r.task_id = t.id order by random() limit %s "
        "for update of t, r skip locked",
        (HELD_ROWS,),
    ).fetchall()
    cluster.after(chance.uniform(1.0, 2.0), connection.close)
    return f"{len(held)} tasks" if held else ""


def fill_disk(cluster: Cluster, chance: random.Random) -> str:
    """PostgreSQL has no room left for a moment."""
    if cluster.disk.reason or not cluster.disk.fill():
        return ""
    cluster.after(chance.uniform(0.8, 1.5), cluster.disk.empty)
    return "no room"


def empty_redis(cluster: Cluster, chance: random.Random) -> str:
    """Everything that Redis holds is gone."""
    cluster.queue().flushall()
    return "flushed"


def fill_redis(cluster: Cluster, chance: random.Random) -> str:
    """Redis takes nothing more for a moment."""

    def restore() -> None:
        cluster.queue().config_set("maxmemory", 0)

    cluster.queue().config_set("maxmemory", 1)
    cluster.after(0.7, _until_done(cluster, restore))
    return "full"


def repeat_tickets(cluster: Cluster, chance: random.Random) -> str:
    """Many more tickets than anybody asked for, and those that lie there ten times."""
    queue = cluster.queue()
    more = TicketQueue(cluster.redis.url).push(POOL, 20)
    tickets = queue.lrange(QUEUE, 0, -1)
    if tickets:
        queue.rpush(QUEUE, *(tickets * 10))
    return f"{more + 10 * len(tickets)} tickets"


def lose_tickets(cluster: Cluster, chance: random.Random) -> str:
    """Whatever is pushed within a moment is gone before an agent sees it."""
    queue, end = cluster.queue(), time.monotonic() + 1.0

    def lose() -> None:
        while time.monotonic() < end:
            # Redis may be away meanwhile: then nothing can be pushed either.
            with contextlib.suppress(redis.RedisError):
                queue.delete(QUEUE)
            time.sleep(0.002)

    threading.Thread(target=lose, daemon=True).start()
    return "1 s"


def shuffle_tickets(cluster: Cluster, chance: random.Random) -> str:
    """Tickets lie there in another order, with strangers among them."""
    queue = cluster.queue()
    tickets = [*queue.lrange(QUEUE, 0, -1), b"nobody-knows-me", b"\xff\xfe"]
    chance.shuffle(tickets)
    with queue.pipeline() as pipeline:
        pipeline.delete(QUEUE)
        pipeline.rpush(QUEUE, *tickets)
        pipeline.execute()
    return f"{len(tickets)} tickets"


STORES = {
    "kill postgres": Kind(2, _kill("postgres")),
    "quit postgres": Kind(2, quit_postgres),
    "stop postgres": Kind(2, _stop("postgres")),
    "terminate backends": Kind(10, terminate_backends),
    "exhaust connections": Kind(2, exhaust_connections),
    "hold rows": Kind(3, hold_rows),
    "fill disk": Kind(2, fill_disk, lambda cluster: cluster.disk.reason),
    "empty redis": Kind(5, empty_redis),
    "kill redis": Kind(4, _kill("redis")),
    "stop redis": Kind(3, _stop("redis")),
    "fill redis": Kind(3, fill_redis),
    "repeat tickets": Kind(4, repeat_tickets),
    "lose tickets": Kind(4, lose_tickets),
    "shuffle tickets": Kind(4, shuffle_tickets),
}
