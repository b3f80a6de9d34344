"""Processor time and memory of process trees."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping

import psutil

Roots = Mapping[str, Iterable[int]]
"""The trees to look at: a name for each, and the pids at their roots."""


def cpu_seconds(roots: Roots) -> Counter[str]:
    """Seconds of processor that each tree has used, children that ended before included."""
    return Counter({name: sum(map(_tree_seconds, pids)) for name, pids in roots.items()})


def resident_mib(roots: Roots) -> dict[str, float]:
    """Memory of each tree in MiB; pages that its processes share are counted once each (PSS)."""
    return {name: sum(map(_tree_mib, pids)) for name, pids in roots.items()}


def tree(pid: int) -> list[psutil.Process]:
    """The process and all that descend from it; nothing once it is gone."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _tree_seconds(pid: int) -> float:
    if pid == os.getpid():
        # This process has started everything else as well; only its own time is its own.
        own = psutil.Process().cpu_times()
        return float(own.user + own.system)
    # Children that were waited for are in their parent's own account.
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _tree_mib(pid: int) -> float:
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 2**20
