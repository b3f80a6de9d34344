"""The processes of a fabric under test: how each is started, stopped, woken, started again."""

import contextlib
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from daef_site import children
from tests.faults.clocks import Clock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Nap:
    """A stopped process is woken at ``latest`` (monotonic seconds), or when ``due`` says so."""

    latest: float
    due: Callable[[], bool]

    def is_over(self, now: float) -> bool:
        """Whether it is to be woken."""
        return now >= self.latest or self.due()


@dataclass
class Member:
    """One process of the fabric: how it is started, and when it has to be started again."""

    name: str
    role: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    clock: Clock | None = None
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    restart_at: float = 0.0
    armed: str = ""
    """What it was last started with."""

    stopped: dict[int, Nap] = field(default_factory=dict)
    """Pids found stopped."""

    def start(self, faults: str) -> None:
        """Start it with these faults armed."""
        self.starts += 1
        self.restart_at = 0.0
        self.armed = faults
        environment = self.environment | ({"DAEF_FAULTS": faults} if faults else {})
        environment |= self.clock.environment() if self.clock else {}
        self.process = children.spawn(
            self.command, log=self.log, environment=environment, folder=ROOT
        )

    def has_died(self) -> bool:
        """Whether it was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    def tree(self, found: dict[int, list[int]] | None = None) -> list[psutil.Process]:
        """The living processes of it, the oldest and its own first; ``found`` as of `sessions`."""
        if self.process is None or self.process.poll() is not None:
            return []
        living = []
        for pid in (found or sessions()).get(self.process.pid, ()):
            with contextlib.suppress(psutil.Error):
                living.append(psutil.Process(pid))
        return living

    def end(self) -> None:
        """Kill it with all its children."""
        if self.process is not None:
            children.kill_session(self.process)
            self.process.wait()
            self.process = None


def sessions() -> dict[int, list[int]]:
    """The pids of every session on this machine, in order.

    Each member leads a session. Asking for sessions is far cheaper than looking for children.
    """
    found: dict[int, list[int]] = defaultdict(list)
    for pid in sorted(psutil.pids()):
        with contextlib.suppress(OSError):
            found[os.getsid(pid)].append(pid)
    return found
