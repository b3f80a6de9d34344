"""A job's attempts over time as drawings: what ran at once by stage, and the tasks with trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.words import BADGES, number
from jobs.queries.timeline import MOST_ROWS, RUNNING, TaskLine, Timeline, Try
from jobs.states import AttemptOutcome, TaskStatus, split_task_id

WIDTH: Final = 1_000.0
POINTS: Final = 120
"""Of each stage's line (console design, section 5c)."""

TICKS: Final = 5
MOMENT: Final = 1e-6
NARROWEST: Final = 5.0
"""Of a segment; what took a moment has to be seen too."""

COLOURS: Final[dict[str, str]] = {
    AttemptOutcome.SUCCEEDED: "ok-p",
    AttemptOutcome.FAILED: "warn-p",
    AttemptOutcome.LOST: "bad-p",
    AttemptOutcome.RELEASED: "idle-p",
    AttemptOutcome.CANCELLED: "idle-p",
    RUNNING: "run-p",
}


class Scale:
    """Where a moment lies between the first attempt's start and the last one's end, or now."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.span = max((end - start).total_seconds(), 1.0)

    def x(self, moment: datetime) -> float:
        """Return the place of a moment, within the drawing."""
        share = (moment - self.start).total_seconds() / self.span
        return WIDTH * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[datetime]:
        """Return the moments that are named below the drawing, evenly spread."""
        step = self.span / (TICKS - 1)
        return [self.start + timedelta(seconds=step * index) for index in range(TICKS)]


def timeline_context(
    found: Timeline, stages: Sequence[Mapping[str, Any]], *, now: datetime
) -> dict[str, Any] | None:
    """Return what the page draws; None before the first attempt."""
    tries = [one for line in found.lines for one in line.tries]
    if not tries:
        return None
    start = min(one.start for one in tries)
    end = max(one.end or now for one in tries)
    scale = Scale(start, end)
    marked = found.remarkable()
    return {
        "stages": [
            row
            for index, stage in enumerate(stages)
            if (row := _stage_row(found, index, str(stage["name"]), scale, now))
        ],
        "rows": [_task_row(line, scale, now) for line in marked[:MOST_ROWS]],
        "more_rows": max(0, len(marked) - MOST_ROWS),
        "ticks": scale.ticks(),
        "step": found.step,
        "attempts": len(tries),
    }


def running_at_once(
    lines: Sequence[TaskLine], scale: Scale, *, now: datetime, weight: int
) -> list[int]:
    """Return how many of these tasks ran at each of the points, the most within each."""
    spans = ((scale.x(one.start), scale.x(one.end or now)) for line in lines for one in line.tries)
    # What took no time at all ends a moment later, so that it is seen.
    changes = sorted(
        change for start, end in spans for change in ((start, 1), (max(end, start + MOMENT), -1))
    )
    most = [0] * POINTS
    level = at = 0
    # At one moment ends come before starts: who takes over is not counted twice.
    for x, step in changes:
        point = min(int(x / WIDTH * POINTS), POINTS - 1)
        for index in range(at, point + 1):
            most[index] = max(most[index], level)
        level += step
        most[point] = max(most[point], level)
        at = point + 1 if point + 1 < POINTS else point
    return [value * weight for value in most]


def _stage_row(
    found: Timeline, index: int, name: str, scale: Scale, now: datetime
) -> dict[str, Any] | None:
    lines = [line for line in found.lines if line.stage == index and line.sampled and line.tries]
    if not lines:
        return None
    values = running_at_once(lines, scale, now=now, weight=found.step)
    top = max(*values, 1)
    step = WIDTH / (POINTS - 1)
    points = " ".join(f"{i * step:.1f},{40 * (1 - v / top):.1f}" for i, v in enumerate(values))
    drawing = format_html(
        '<svg viewBox="0 -2 {0} 44" preserveAspectRatio="none" role="img" aria-label="{1}: at most '
        '{2} at once"><polygon class="ar" points="0,40 {3} {0},40"/>'
        '<polyline class="ln" points="{3}"/></svg>',
        f"{WIDTH:.0f}",
        name,
        number(max(values)),
        points,
    )
    return {"name": name, "most": max(values), "drawing": drawing, "about": found.step > 1}


def _task_row(line: TaskLine, scale: Scale, now: datetime) -> dict[str, Any]:
    segments = format_html_join("", "{}", ((_segment(one, scale, now),) for one in line.tries))
    waits = format_html_join("", "{}", ((wait,) for wait in _waits(line, scale)))
    drawing = format_html(
        '<svg viewBox="0 0 {} 16" preserveAspectRatio="none" aria-hidden="true">{}{}</svg>',
        f"{WIDTH:.0f}",
        waits,
        segments,
    )
    return {
        "id": line.name,
        "number": split_task_id(line.id)[1],
        "status": line.status,
        "drawing": drawing,
        "said": said(line),
    }


def said(line: TaskLine) -> str:
    """Return in words how the attempts ended: ``Transient × 2, then running``."""
    ends = [one.code or BADGES[one.outcome].word for one in line.tries if _failed(one)]
    runs = [(name, len(list(group))) for name, group in groupby(ends)]
    parts = [f"{name} × {count}" if count > 1 else name for name, count in runs]
    last = {
        TaskStatus.SUCCEEDED: "then ok",
        TaskStatus.DEAD_LETTERED: "dead-lettered",
        TaskStatus.RUNNING: "runs again",
        TaskStatus.QUEUED: "waits for its next try",
        TaskStatus.CANCELLED: "cancelled",
    }.get(TaskStatus(line.status), "")
    return ", ".join([*parts, last] if last else parts)


def _failed(one: Try) -> bool:
    return one.end is not None and one.outcome != AttemptOutcome.SUCCEEDED


def _segment(one: Try, scale: Scale, now: datetime) -> SafeString:
    left = scale.x(one.start)
    width = max(scale.x(one.end or now) - left, NARROWEST)
    return format_html(
        '<rect class="{}" x="{}" y="1" width="{}" height="14" rx="2"/>',
        COLOURS[one.outcome],
        f"{min(left, WIDTH - width):.1f}",
        f"{width:.1f}",
    )


def _waits(line: TaskLine, scale: Scale) -> list[SafeString]:
    """Return dotted lines from each attempt's end to the next one's start."""
    return [
        format_html(
            '<line class="wt" x1="{}" x2="{}" y1="8" y2="8"/>',
            f"{scale.x(before.end):.1f}",
            f"{scale.x(after.start):.1f}",
        )
        for before, after in pairwise(line.tries)
        if before.end is not None
    ]
