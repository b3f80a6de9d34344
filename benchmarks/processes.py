"""Processor time and memory of process trees."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import psutil

Roots = Mapping[str, Iterable[int]]
"""The trees to look at: a name for each, and the pids at their roots."""


def cpu_seconds(roots: Roots) -> Counter[str]:
    """Seconds of processor that each tree has used, children that ended before included."""
    return Counter({name: sum(map(_tree_seconds, pids)) for name, pids in roots.items()})


def each_cpu_seconds(groups: Roots) -> Counter[str]:
    """The same of these processes alone, without their living children."""
    return Counter(
        {name: sum(map(_own_seconds, map(_known, pids))) for name, pids in groups.items()}
    )


def each_mib(groups: Roots) -> dict[str, float]:
    """Memory of these processes in MiB; each has its part of the pages that it shares (PSS)."""
    return {name: sum(map(_own_mib, map(_known, pids))) for name, pids in groups.items()}


def tree(pid: int) -> list[psutil.Process]:
    """The process and all that descend from it; nothing once it is gone."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """The trees do nothing (SIGSTOP) until the block ends."""
    held: dict[int, psutil.Process] = {}
    try:
        # Once more, for what a parent has started before it stood still itself.
        for pid in [*pids] * 2:
            for process in tree(pid):
                with contextlib.suppress(psutil.Error):
                    process.suspend()
                    held[process.pid] = process
        yield
    finally:
        for process in held.values():
            with contextlib.suppress(psutil.Error):
                process.resume()


def command(process: psutil.Process) -> list[str]:
    """Its command line; nothing once it is gone."""
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _tree_seconds(pid: int) -> float:
    if pid == os.getpid():
        # This process has started everything else as well; only its own time is its own.
        own = psutil.Process().cpu_times()
        return float(own.user + own.system)
    return sum(map(_own_seconds, tree(pid)))


def _known(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _own_seconds(process: psutil.Process | None) -> float:
    # Children that it has waited for are in its own account.
    with contextlib.suppress(psutil.Error):
        return float(sum(process.cpu_times()[:4])) if process else 0.0
    return 0.0


def _own_mib(process: psutil.Process | None) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss) / 2**20 if process else 0.0
    return 0.0
