"""Faults of the fabric's own processes: death, sleep, lack of memory, wrong clocks."""

import contextlib
import random
import signal

import psutil

from tests.faults import clocks, memory
from tests.faults.cluster import Cluster
from tests.faults.members import Member
from tests.faults.mischief.kind import Kind, Mischief


def send(number: signal.Signals, process: psutil.Process) -> str:
    """Send a signal; answers the pid, or nothing when the process is gone."""
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
        found = send(number, tree[-1] if child else tree[0])
        return found and f"{member.name} {found}"

    return act


def starve_runner(cluster: Cluster, chance: random.Random) -> str:
    """The kernel kills a runner for its memory."""
    member, root = _one(cluster, "worker", chance), memory.place()
    tree = member.tree() if member else []
    if not member or root is None or len(tree) < 2:
        return ""
    group = memory.StarvedGroup(root, f"{member.name}-{tree[-1].pid}")
    cluster.after(5.0, group.close)
    with contextlib.suppress(OSError):
        group.take(tree[-1].pid)
        return f"{member.name} {tree[-1].pid}"
    return ""


def no_memory_group(_cluster: Cluster) -> str:
    """Why memory cannot be taken away here."""
    return "" if memory.place() else "no control group of memory can be made here"


def _turn_clock(role: str) -> Mischief:
    """A process and its children are told another time from now on, while they run."""

    def act(cluster: Cluster, chance: random.Random) -> str:
        members = [member for member in cluster.of_role(role) if member.clock]
        if not members:
            return ""
        member, wrong = chance.choice(members), chance.choice(list(clocks.WRONG))
        assert member.clock
        member.clock.set(clocks.WRONG[wrong])
        return f"{member.name} {wrong}"

    return act


def no_faketime(_cluster: Cluster) -> str:
    """Why clocks cannot be turned here."""
    return "" if clocks.library() else "libfaketime is not on this machine"


def kill_everything(cluster: Cluster, chance: random.Random) -> str:
    """Every process of the fabric and of its stores dies at the same moment."""
    doomed = [process for member in cluster.members for process in member.tree()]
    for server in (cluster.postgres.process, cluster.redis.process):
        if server is not None and server.poll() is None:
            parent = psutil.Process(server.pid)
            doomed += [parent, *parent.children(recursive=True)]
    return f"{sum(bool(send(signal.SIGKILL, process)) for process in doomed)} processes"


KILL, STOP = signal.SIGKILL, signal.SIGSTOP

PROCESSES = {
    "kill agent": Kind(5, _signal("worker", KILL)),
    "kill runner": Kind(8, _signal("worker", KILL, child=True)),
    "starve runner": Kind(4, starve_runner, no_memory_group),
    "kill control plane": Kind(4, _signal("controlplane", KILL)),
    "kill gateway": Kind(2, _signal("gateway", KILL)),
    "kill everything": Kind(1, kill_everything),
    "stop agent": Kind(12, _signal("worker", STOP)),
    "stop runner": Kind(6, _signal("worker", STOP, child=True)),
    "stop control plane": Kind(5, _signal("controlplane", STOP)),
    "stop gateway": Kind(2, _signal("gateway", STOP, child=True)),
    "turn agent's clock": Kind(5, _turn_clock("worker"), no_faketime),
    "turn control plane's clock": Kind(4, _turn_clock("controlplane"), no_faketime),
    "turn gateway's clock": Kind(3, _turn_clock("gateway"), no_faketime),
}
