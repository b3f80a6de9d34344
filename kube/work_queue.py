"""What is to be looked at, and when. A key waits once, and is never worked on twice at a time."""

import asyncio
import heapq
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Key:
    """A resource by its place."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}".replace(" /", " ")


Work = Callable[[Key], Awaitable[float | None]]
"""Looks at a resource; returns after how many seconds again, None for never."""


class WorkQueue:
    """Keys with the time at which each is due; failures come again later and later."""

    def __init__(self, work: Work, clock: Callable[[], float] = time.monotonic) -> None:
        self._work, self._clock = work, clock
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = defaultdict(int)
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key, delay_seconds: float = 0.0) -> None:
        """Look at it after so long, or earlier if it is due earlier anyway."""
        due = self._clock() + delay_seconds
        if self._due.get(key, due + 1) > due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._changed.set()

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._next()
            self._running.add(key)
            try:
                await self._one(key)
            finally:
                self._running.discard(key)
                self._changed.set()

    async def _one(self, key: Key) -> None:
        try:
            again = await self._work(key)
        except Exception as error:  # one resource's trouble is not the others'
            self._failures[key] += 1
            delay = min(FIRST_DELAY_SECONDS * 2 ** (self._failures[key] - 1), LONGEST_DELAY_SECONDS)
            logger.warning("%s: again in %.1f s: %s", key, delay, error or type(error).__name__)
            self.add(key, delay)
            return
        self._failures.pop(key, None)
        if again is not None:
            self.add(key, again)

    async def _next(self) -> Key:
        while True:
            self._changed.clear()
            key = self._pop()
            if key is not None:
                return key
            with suppress(TimeoutError):
                # Not wait_for: until Python 3.12 it may swallow a cancellation, and then this
                # worker would go on after its operator has lost the Lease.
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._changed.wait()

    def _seconds_to_next(self) -> float | None:
        """Keys at work are left out: whoever ends sets the event."""
        due = min((due for due, key in self._heap if key not in self._running), default=None)
        return None if due is None else max(due - self._clock(), 0.0)

    def _pop(self) -> Key | None:
        """The first key that is due and not at work; those that are keep their place."""
        held: list[tuple[float, Key]] = []
        found = None
        while found is None and self._heap and self._heap[0][0] <= self._clock():
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) != due:
                continue
            if key in self._running:
                held.append((due, key))
            else:
                del self._due[key]
                found = key
        for entry in held:
            heapq.heappush(self._heap, entry)
        return found
