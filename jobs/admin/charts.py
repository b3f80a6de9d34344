"""The console's charts as SVG, drawn by the server: no library, no script, readable in print.

Text stands beside the drawing in HTML, so that the drawing may stretch and the text stays legible.
All text is escaped. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.words import number, short_number
from jobs.queries.minutes import Hour
from jobs.states import AttemptOutcome

WIDTH: Final = 600.0
HEIGHT: Final = 100.0
GAP: Final = 0.22
"""Of a bar's place."""

PARTS: Final = (
    (AttemptOutcome.SUCCEEDED.value, "ok-p"),
    (AttemptOutcome.FAILED.value, "warn-p"),
    (AttemptOutcome.LOST.value, "bad-p"),
    (AttemptOutcome.RELEASED.value, "idle-p"),
    (AttemptOutcome.CANCELLED.value, "idle-p"),
)
"""The parts of a minute's bar from below, with their colours."""

STEPS: Final = (1, 2, 2.5, 5, 10)


def round_top(value: float) -> int:
    """Return the least round number that is not below a value; the top of an axis."""
    size = 1
    while size * 10 < value:
        size *= 10
    return int(next(size * step for step in STEPS if size * step >= value and size * step % 1 == 0))


def ended_chart(hour: Hour) -> SafeString:
    """Return bars of what ended in each minute, by outcome."""
    sums = [sum(counts.values()) for counts in hour.ended]
    top = round_top(max(*sums, 1))
    said = (
        f"Attempts ended per minute in the last hour: {number(sum(sums))} in all, "
        f"at most {number(max(sums))}."
    )
    return _plot(said, top, format_html_join("", "{}", ((bar,) for bar in _bars(hour, top))))


def running_chart(hour: Hour) -> SafeString:
    """Return the line of the most that ran in each minute."""
    known = [value for value in hour.running if value is not None]
    top = round_top(max(known, default=1) or 1)
    said = f"Tasks running in the last hour: at most {number(max(known, default=0))} at once."
    return _plot(said, top, _line(hour.running, top, area=True), low=True)


def sparkline(values: Sequence[int | None], colour: str = "run") -> SafeString:
    """Return a small line without axes; the figures stand beside it."""
    known = [value for value in values if value is not None]
    if not known:
        return SafeString("")
    said = f"Queued in the last hour: between {number(min(known))} and {number(max(known))}."
    return format_html(
        '<svg class="spark {}" viewBox="0 -4 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>',
        colour,
        f"{WIDTH:.0f}",
        f"{HEIGHT + 8:.0f}",
        said,
        _line(values, max(known) or 1),
    )


def _bars(hour: Hour, top: int) -> Iterator[SafeString]:
    place = WIDTH / len(hour.ended)
    for index, counts in enumerate(hour.ended):
        bottom = HEIGHT
        for outcome, colour in PARTS:
            if counts.get(outcome):
                height = HEIGHT * counts[outcome] / top
                bottom -= height
                yield format_html(
                    '<rect class="{}" x="{}" y="{}" width="{}" height="{}">'
                    "<title>{}</title></rect>",
                    colour,
                    f"{place * (index + GAP / 2):.2f}",
                    f"{bottom:.2f}",
                    f"{place * (1 - GAP):.2f}",
                    f"{height:.2f}",
                    f"{hour.minutes[index]:%H:%M}: {number(counts[outcome])} {outcome.lower()}",
                )


def _line(values: Sequence[int | None], top: int, *, area: bool = False) -> SafeString:
    """Return the lines through what is known; a gap stays a gap."""
    step = WIDTH / max(len(values) - 1, 1)
    points = [
        (step * index, None if value is None else HEIGHT * (1 - value / top))
        for index, value in enumerate(values)
    ]
    pieces = [list(run) for known, run in groupby(points, lambda p: p[1] is not None) if known]
    drawn = [_piece(piece, step, area=area) for piece in pieces]
    return format_html_join("", "{}", ((piece,) for piece in drawn))


def _piece(points: Sequence[tuple[float, float | None]], step: float, *, area: bool) -> SafeString:
    if len(points) == 1:
        # A minute alone would be a line without length.
        points = [(points[0][0] - step / 2, points[0][1]), (points[0][0] + step / 2, points[0][1])]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = format_html('<polyline class="ln" points="{}"/>', path)
    if not area:
        return line
    foot = f"{points[-1][0]:.1f},{HEIGHT:.0f} {points[0][0]:.1f},{HEIGHT:.0f}"
    return format_html('<polygon class="ar" points="{} {}"/>{}', path, foot, line)


def _plot(said: str, top: int, drawing: SafeString, *, low: bool = False) -> SafeString:
    """Return a drawing with its axis to the left; half the top has a line where it is a number."""
    marks = (
        [(top, 0.0), (top // 2, HEIGHT / 2), (0, HEIGHT)]
        if top % 2 == 0
        else [
            (top, 0.0),
            (0, HEIGHT),
        ]
    )
    grid = format_html_join(
        "",
        '<line class="ax" x1="0" x2="{}" y1="{}" y2="{}"/>',
        ((f"{WIDTH:.0f}", f"{y:.1f}", f"{y:.1f}") for _, y in marks),
    )
    labels = format_html_join(
        "", '<span style="top:{}%">{}</span>', ((f"{y:.0f}", short_number(v)) for v, y in marks)
    )
    return format_html(
        '<div class="plot{}"><div class="ys" aria-hidden="true">{}</div>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
        "</div>",
        " low" if low else "",
        labels,
        f"{WIDTH:.0f}",
        f"{HEIGHT:.0f}",
        said,
        grid,
        drawing,
    )
