"""What a fault from outside is."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.cluster import Cluster

Mischief = Callable[[Cluster, random.Random], str]
"""Does its worst and answers what it hit; empty when there was nothing to hit."""


def always(_cluster: Cluster) -> str:
    """No reason why a fault could not be had on this machine."""
    return ""


@dataclass(frozen=True)
class Kind:
    """A fault, how often it is chosen, and why it cannot be had here (empty when it can)."""

    weight: int
    act: Mischief
    missing: Callable[[Cluster], str] = always
