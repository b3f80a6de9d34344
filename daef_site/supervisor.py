"""Keeps child processes running: restart with backoff, rotation of their logs, an orderly end.

Everything happens in the main thread: Linux sends a child's death signal when the thread that
started it ends, not the process. Never imports Django.
"""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from daef_site import children

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
# A child that lived this long is taken for healthy: its next restart is quick again.
HEALTHY_SECONDS = 30.0
_POLL_SECONDS = 0.2
_ROTATE_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(BaseException):
    """Somebody asked the supervisor to end (Ctrl-C, SIGTERM, a closed terminal)."""


def say(name: str, text: str) -> None:
    """One aligned line on the terminal."""
    print(f"{name:<14}{text}", flush=True)  # noqa: T201 (the supervisor's terminal is its output)


@dataclass
class Child:
    """One process to keep alive: how it starts, how it is stopped, and its restart state."""

    name: str
    log: Path
    launch: Callable[[], subprocess.Popen[bytes]]
    stop: Callable[[subprocess.Popen[bytes]], None] = children.end
    # Neighbours of one group are asked to end at the same time.
    group: str = ""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = FIRST_DELAY_SECONDS
    restart_at: float | None = field(default=None)

    def start(self) -> None:
        """Start it now."""
        self.restart_at = None
        self.started = time.monotonic()
        self.process = self.launch()

    def tend(self, now: float) -> None:
        """Start it again when it has ended and its delay is over. ``now`` is monotonic seconds."""
        if self.restart_at is not None:
            if now >= self.restart_at:
                self.start()
        elif self.process is not None and (status := self.process.poll()) is not None:
            self._plan_restart(now, status)

    def _plan_restart(self, now: float, status: int) -> None:
        assert self.process is not None
        # A half-dead child may have left processes of its own behind.
        children.kill_session(self.process)
        if now - self.started > HEALTHY_SECONDS:
            self.delay = FIRST_DELAY_SECONDS
        say(self.name, f"{ended(status)}; starts again in {self.delay:g} s (log: {self.log})")
        self.restart_at = now + self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY_SECONDS)

    def ask(self) -> None:
        """Tell it to end, not waiting for that."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        """Stop it for good."""
        self.restart_at = None
        if self.process is not None:
            self.stop(self.process)
            self.process = None


def ended(status: int) -> str:
    """How a process ended, in words. ``status`` as Popen gives it: negative for a signal."""
    if status >= 0:
        return f"ended with exit {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


class Supervisor:
    """Children in the order they were started; they end in the opposite order."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def add(self, child: Child) -> Child:
        """Start the child and keep it running from now on."""
        self.children.append(child)
        child.start()
        return child

    def watch(self, still_wanted: Callable[[], bool] = lambda: True) -> None:
        """Tend the children until ``still_wanted`` says no or StopAsked is raised."""
        next_rotation = time.monotonic() + _ROTATE_SECONDS
        while still_wanted():
            now = time.monotonic()
            for child in self.children:
                child.tend(now)
            if now >= next_rotation:
                self._rotate_logs()
                next_rotation = now + _ROTATE_SECONDS
            time.sleep(_POLL_SECONDS)

    def _rotate_logs(self) -> None:
        for child in self.children:
            children.rotate(child.log)

    def stop(self) -> None:
        """End every child, the last started first."""
        asked = ""
        while self.children:
            child = self.children.pop()
            if child.group and child.group != asked:
                asked = child.group
                for each in (child, *self.children):
                    if each.group == asked:
                        each.ask()
            child.end()


def listen_for_stop() -> None:
    """Turn the first Ctrl-C, SIGTERM or hang-up into StopAsked; later ones are ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise StopAsked

    for number in _SIGNALS:
        signal.signal(number, stop)


def ignore_signals() -> None:
    """Let nothing disturb the orderly end."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
