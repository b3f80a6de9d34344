"""What a process knows of itself, written by its loops and read by its probes."""

import time
from collections.abc import Callable

ALIVE_SECONDS = 60.0
"""A main loop that has not gone round for so long hangs: six times the longest call it makes."""

READY_SECONDS = 20.0
"""So long an answer counts: longer than a default lease (15 s), so one lost call is no news."""


class Signs:
    """Two moments: when the main loop last went round, and when work was last possible.

    A process is alive from its start and ready only once ``answered`` was called. Safe to use from
    several threads: each moment is written by one assignment.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._turned = now()
        self._answered: float | None = None

    def turned(self) -> None:
        """The main loop went round."""
        self._turned = self._now()

    def answered(self) -> None:
        """What work needs was there just now."""
        self._answered = self._now()

    def leaving(self) -> None:
        """No more work is wanted."""
        self._answered = None

    def alive(self) -> bool:
        """Whether the main loop still goes round."""
        return self._now() - self._turned < ALIVE_SECONDS

    def ready(self) -> bool:
        """Whether it can work now, as far as it knows."""
        return self._answered is not None and self._now() - self._answered < READY_SECONDS
