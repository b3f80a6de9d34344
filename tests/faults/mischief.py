"""What the nemesis does to a running fabric: each fault is a function of the cluster and chance."""

import os
import random
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import redis

from queueing.rq_client import QueueUnavailable, TicketQueue, queue_name
from tests.faults.cluster import Cluster, Member

POOL = "default"
QUEUE = f"rq:queue:{queue_name(POOL)}"

Mischief = Callable[[Cluster, random.Random], str]
"""Does its worst and answers what it hit; empty when there was nothing to hit."""


def _send(number: signal.Signals, process: psutil.Process) -> str:
    try:
        process.send_signal(number)
    except psutil.Error:
        return ""
    return str(process.pid)


def _one(cluster: Cluster, role: str, chance: random.Random) -> Member | None:
    members = cluster.of_role(role)
    return chance.choice(members) if members else None


def _signal(role: str, number: signal.Signals, *, child: bool = False) -> Mischief:
    """Send a signal to a member, or to the youngest of its children (an agent's runner)."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        member = _one(cluster, role, chance)
        tree = member.tree() if member else []
        if not member or len(tree) < 1 + child:
            return ""
        found = _send(number, tree[-1] if child else tree[0])
        return found and f"{member.name} {found}"

    return act


def empty_redis(cluster: Cluster, chance: random.Random) -> str:
    """Everything that Redis holds is gone."""
    cluster.queue().flushall()
    return "flushed"


def kill_redis(cluster: Cluster, chance: random.Random) -> str:
    """Redis dies; it comes back empty."""
    process = cluster.redis.process
    if process is None or process.poll() is not None:
        return ""
    process.kill()
    return str(process.pid)


def fill_redis(cluster: Cluster, chance: random.Random) -> str:
    """Redis takes nothing more for a moment."""
    queue = cluster.queue()
    queue.config_set("maxmemory", 1)
    time.sleep(0.5)
    queue.config_set("maxmemory", 0)
    return "full for 0.5 s"


def kill_postgres(cluster: Cluster, chance: random.Random) -> str:
    """Every process of PostgreSQL dies at once."""
    process = cluster.postgres.process
    if process is None or process.poll() is not None:
        return ""
    server = psutil.Process(process.pid)
    # The server first, so that it starts nothing anew.
    for each in [server, *server.children(recursive=True)]:
        _send(signal.SIGKILL, each)
    return str(process.pid)


def terminate_backends(cluster: Cluster, chance: random.Random) -> str:
    """Some sessions of ours are ended by the database, whatever they are doing."""
    with cluster.connect() as connection:
        ended = connection.execute(
            "select pid, pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'daef' and datname = 'daef' order by random() limit %s",
            (chance.randint(1, 4),),
        ).fetchall()
    return f"{len(ended)} sessions" if ended else ""


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
    queue, lost = cluster.queue(), 0
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        lost += bool(queue.delete(QUEUE))
        time.sleep(0.002)
    return f"{lost} times" if lost else ""


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


def cut_network(cluster: Cluster, chance: random.Random) -> str:
    """An agent's connections break."""
    proxy = chance.choice(cluster.proxies)
    proxy.cut()
    return f"port {proxy.port}"


def slow_network(cluster: Cluster, chance: random.Random) -> str:
    """Each chunk of an agent's traffic takes its time; ends by the next `mend_networks`."""
    proxy = chance.choice(cluster.proxies)
    proxy.delay_seconds = chance.uniform(0.05, 0.4)
    return f"port {proxy.port}"


def deafen_network(cluster: Cluster, chance: random.Random) -> str:
    """An agent's connections stay open and carry nothing; ends by the next `mend_networks`."""
    proxy = chance.choice(cluster.proxies)
    proxy.deaf = True
    return f"port {proxy.port}"


def mend_networks(cluster: Cluster, chance: random.Random) -> None:
    """Some of the broken networks work again."""
    for proxy in cluster.proxies:
        if (proxy.deaf or proxy.delay_seconds) and chance.random() < 0.4:
            proxy.heal()


MISCHIEF: dict[str, tuple[int, Mischief]] = {
    "kill agent": (5, _signal("worker", signal.SIGKILL)),
    "kill runner": (8, _signal("worker", signal.SIGKILL, child=True)),
    "kill control plane": (4, _signal("controlplane", signal.SIGKILL)),
    "kill gateway": (2, _signal("gateway", signal.SIGKILL)),
    "stop agent": (12, _signal("worker", signal.SIGSTOP)),
    "stop runner": (6, _signal("worker", signal.SIGSTOP, child=True)),
    "stop control plane": (5, _signal("controlplane", signal.SIGSTOP)),
    "stop gateway": (2, _signal("gateway", signal.SIGSTOP, child=True)),
    "empty redis": (6, empty_redis),
    "kill redis": (5, kill_redis),
    "fill redis": (3, fill_redis),
    "kill postgres": (2, kill_postgres),
    "terminate backends": (12, terminate_backends),
    "repeat tickets": (5, repeat_tickets),
    "lose tickets": (5, lose_tickets),
    "shuffle tickets": (5, shuffle_tickets),
    "cut network": (8, cut_network),
    "slow network": (5, slow_network),
    "deafen network": (5, deafen_network),
}
"""Every fault from outside, with how often it is chosen."""


class Nemesis:
    """Chooses faults from a seed and notes each that took place, before it looks at the next."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = random.Random(f"{seed} nemesis")
        self._turns: list[str] = []

    def strike(self) -> str:
        """One fault; its name, or nothing when it found nothing to hit."""
        mend_networks(self._cluster, self._random)
        name = self._next()
        try:
            hit = MISCHIEF[name][1](self._cluster, self._random)
        except (redis.RedisError, QueueUnavailable, psycopg.Error, OSError):
            return ""
        if hit:
            self._note(name, hit)
        return name if hit else ""

    def _next(self) -> str:
        """Each kind once in random order before chance alone decides by weight."""
        if not self._turns:
            names = list(MISCHIEF)
            weights = [weight for weight, _ in MISCHIEF.values()]
            self._turns = self._random.choices(names, weights, k=2 * len(names))
            self._turns += [name for name in names if name not in self._turns]
            self._random.shuffle(self._turns)
        return self._turns.pop()

    def _note(self, name: str, hit: str) -> None:
        line = f"{time.time():.6f} {os.getpid()} fault fired: nemesis {name} ({hit})\n"
        with (self._cluster.data / "faults.log").open("a", encoding="utf-8") as log:
            log.write(line)
