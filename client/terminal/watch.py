"""Following a job to its end: bars on a terminal, lines everywhere else.

The figures of a watched job are in its document, so it is polled: from every quarter of a second
for young jobs to every two seconds for old ones. Event streams are left to programs; the fabric
has few of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ..api import JOB_ENDS, Client
from .bars import Clock, change_line, done, end_line, stage_lines, total_line, trouble_lines

FASTEST_SECONDS, SLOWEST_SECONDS = 0.25, 2.0
REDRAWS_A_SECOND = 4
LINE_EVERY_SECONDS = 10.0
LEAST_SECONDS_BETWEEN_LINES = 2.0
PACE_FROM_SECONDS = 15.0
STOPS_WATCHING = "Ctrl-C stops watching, not the job."


def snapshots(client: Client, job: str) -> Iterator[dict[str, Any]]:
    """The job again and again until it has ended; the last one shows its end."""
    began = time.monotonic()
    while True:
        found = client.jobs.get(job)
        yield found
        if found["status"] in JOB_ENDS:
            return
        age = time.monotonic() - began
        time.sleep(min(max(age / 40, FASTEST_SECONDS), SLOWEST_SECONDS))


def watch(client: Client, job: str, console: Console, *, hint: str = STOPS_WATCHING) -> Any:
    """Show the job until it has ended and return it. ``hint`` is what Ctrl-C does, in words.

    KeyboardInterrupt passes through with the terminal in order; the job goes on.
    """
    if draws_bars(console):
        found = _with_bars(client, job, console, hint)
    else:
        found = _with_lines(client, job, console, hint)
    console.print(end_line(found), soft_wrap=True)
    return found


def draws_bars(console: Console) -> bool:
    """Bars need a terminal that can move its cursor, and no CI behind it."""
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")


def _with_bars(client: Client, job: str, console: Console, hint: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    view = View(client)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for found in snapshots(client, job):
            ended = found["status"] in JOB_ENDS
            lines = view.lines(found, console.width, "" if ended else hint)
            live.update(Group(*lines), refresh=True)
    return found


class View:
    """What a watched job looks like; remembers when stages began and one failed task."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._now = client, clock
        self._clock = Clock()
        self._dead: dict[str, Any] | None = None
        self._first: tuple[float, int] | None = None

    def lines(self, job: dict[str, Any], width: int, hint: str) -> list[Text]:
        """Stages, the whole, troubles and the hint."""
        self._clock.look(job)
        lines = stage_lines(job, self._clock, width)
        if not hint:
            return [*lines, Text()]
        troubles = trouble_lines(job, self._one_dead(job))
        told = [Text(), *troubles, Text(hint, "bright_black")]
        return [*lines, total_line(job, self._pace(job)), *told]

    def _one_dead(self, job: dict[str, Any]) -> dict[str, Any] | None:
        if job["progress"]["dead_lettered"] and self._dead is None:
            page = self._client.jobs.tasks(job["id"], status="DeadLettered", limit=1)
            self._dead = next(iter(page["items"]), None)
        return self._dead

    def _pace(self, job: dict[str, Any]) -> float | None:
        """Tasks ended a minute since this watch began; None until that means something."""
        now, ended = self._now(), sum(done(stage) for stage in job["stages"])
        self._first = self._first or (now, ended)
        seconds = now - self._first[0]
        return 60 * (ended - self._first[1]) / seconds if seconds >= PACE_FROM_SECONDS else None


def _with_lines(client: Client, job: str, console: Console, hint: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pace = LinePace()
    console.print(Text(hint, "bright_black"))
    for found in snapshots(client, job):
        if pace.is_due(found, time.monotonic()):
            console.print(Text(change_line(found)), soft_wrap=True)
    return found


class LinePace:
    """When a log gets its next line: at a change, not too often, and every ten seconds."""

    def __init__(self) -> None:
        self._state: object = None
        self._figures: object = None
        self._at = float("-inf")

    def is_due(self, job: dict[str, Any], now: float) -> bool:
        """Whether this snapshot is worth a line at ``now`` (seconds)."""
        finished = [stage["name"] for stage in job["stages"] if done(stage) == stage["total"]]
        state = (job["status"], job["reason"], finished)
        figures = job["progress"]
        wait = LEAST_SECONDS_BETWEEN_LINES if figures != self._figures else LINE_EVERY_SECONDS
        if state == self._state and now - self._at < wait:
            return False
        self._state, self._figures, self._at = state, figures, now
        return True
