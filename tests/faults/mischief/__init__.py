"""What the nemesis does to a running fabric: each fault is a function of the cluster and chance."""

import os
import random
import time

import grpc
import psycopg
import redis

from queueing.rq_client import QueueUnavailable
from tests.faults.cluster import Cluster
from tests.faults.mischief.forgeries import FORGERIES
from tests.faults.mischief.kind import Kind
from tests.faults.mischief.networks import NETWORKS
from tests.faults.mischief.processes import PROCESSES
from tests.faults.mischief.stores import STORES

KINDS: dict[str, Kind] = {**PROCESSES, **STORES, **NETWORKS, **FORGERIES}
"""Every fault from outside."""

KILL = {"gateway": "kill gateway", "controlplane": "kill control plane", "worker": "kill agent"}


def missing(cluster: Cluster) -> dict[str, str]:
    """The faults that cannot be had on this machine, and why."""
    found = {name: kind.missing(cluster) for name, kind in KINDS.items()}
    return {name: reason for name, reason in found.items() if reason}


class Nemesis:
    """Chooses faults from a seed and notes each that took place, before it looks at the next."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = random.Random(f"{seed} nemesis")
        self.missing = missing(cluster)
        self.due = [name for name in KINDS if name not in self.missing]
        """Kinds that have not been yet: each comes once before chance alone decides by weight."""

        self._random.shuffle(self.due)
        # What takes longest to recover from leaves room for the others first.
        self.due.sort(key="kill everything".__eq__)

    def strike(self, doomed: str = "") -> str:
        """One fault; its name, or nothing when it found nothing to hit.

        Where a role is ``doomed``, one of its processes dies, to be started with its points armed.
        """
        name = KILL[doomed] if doomed else self._next()
        try:
            hit = KINDS[name].act(self._cluster, self._random)
        except (redis.RedisError, QueueUnavailable, psycopg.Error, grpc.RpcError, OSError):
            return ""
        if not hit:
            return ""
        self._note(name, hit)
        if name in self.due:
            self.due.remove(name)
        return name

    def _next(self) -> str:
        """What is due goes to the end of the line first, so that one that finds nothing waits."""
        if self.due:
            self.due.append(self.due.pop(0))
            return self.due[-1]
        names = [name for name in KINDS if name not in self.missing]
        return self._random.choices(names, [KINDS[name].weight for name in names])[0]

    def _note(self, name: str, hit: str) -> None:
        line = f"{time.time():.6f} {os.getpid()} fault fired: nemesis {name} ({hit})\n"
        with (self._cluster.data / "faults.log").open("a", encoding="utf-8") as log:
            log.write(line)
