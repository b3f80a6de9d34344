"""Faults of the networks: cut, slow, deaf and mute, between everything and everything."""

import random

from tests.faults.cluster import Cluster
from tests.faults.mischief.kind import Kind, Mischief
from tests.faults.network import FaultProxy

LONGEST_SECONDS = 2.0
"""How long a network stays broken: past the end of a lease, mostly."""


def _choose(cluster: Cluster, where: str, chance: random.Random) -> FaultProxy:
    """A proxy whose name begins so: ``grpc`` (agents), ``postgres``, ``redis`` or ``clients``."""
    return chance.choice([p for p in cluster.network.proxies if p.name.startswith(where)])


def _cut(where: str) -> Mischief:
    """Connections break."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        proxy = _choose(cluster, where, chance)
        proxy.cut()
        return proxy.name

    return act


def _slow(where: str, longest: float) -> Mischief:
    """Each chunk takes its time."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        proxy = _choose(cluster, where, chance)
        proxy.delay_seconds = chance.uniform(longest / 8, longest)
        cluster.after(chance.uniform(0.5, LONGEST_SECONDS), proxy.heal)
        return f"{proxy.name}, {proxy.delay_seconds:.2f} s"

    return act


def _deafen(where: str) -> Mischief:
    """Connections stay open and carry nothing, or no answers."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        proxy = _choose(cluster, where, chance)
        proxy.mute = chance.random() < 0.5
        proxy.deaf = not proxy.mute
        cluster.after(chance.uniform(0.5, LONGEST_SECONDS), proxy.heal)
        return f"{proxy.name}, {'no answers' if proxy.mute else 'nothing'}"

    return act


def _sidecar(field: str, *methods: str) -> Mischief:
    """Some calls of the lonely agent go wrong, and no others."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        setattr(cluster.sidecar, field, frozenset(methods))
        seconds = chance.uniform(1.2, LONGEST_SECONDS)
        cluster.after(seconds, cluster.sidecar.heal)
        return f"{', '.join(methods)} for {seconds:.1f} s"

    return act


NETWORKS = {
    "cut agents' network": Kind(7, _cut("grpc")),
    "slow agents' network": Kind(4, _slow("grpc", 0.4)),
    "deafen agents' network": Kind(6, _deafen("grpc")),
    "cut postgres' network": Kind(4, _cut("postgres")),
    "slow postgres' network": Kind(2, _slow("postgres", 0.1)),
    "deafen postgres' network": Kind(3, _deafen("postgres")),
    "cut redis' network": Kind(2, _cut("redis")),
    "slow redis' network": Kind(2, _slow("redis", 0.3)),
    "deafen redis' network": Kind(2, _deafen("redis")),
    "cut clients' network": Kind(2, _cut("clients")),
    "slow clients' network": Kind(2, _slow("clients", 0.3)),
    "lose heartbeats": Kind(4, _sidecar("dropped", "Heartbeat")),
    "lose answers": Kind(4, _sidecar("unheard", "Settle", "Claim")),
    "repeat calls": Kind(4, _sidecar("repeated", "Settle", "Claim", "Heartbeat")),
}
