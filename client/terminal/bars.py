"""A job's stages as lines with bars. Pure: from the job document to rich texts.

Bars have 30 cells and shrink below 80 columns; every bar has its figures in text beside it, so
that nothing is told by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from .words import (
    STATUS_STYLES,
    about,
    count,
    dollars,
    duration,
    percent,
    plain,
    rough,
    seconds_between,
    shortened,
    status_word,
    tokens,
)

NAME_WIDTH = 10
BAR_CELLS = 30
WIDEST = 92
LEAST_CELLS = 8
FULL, HALF, EMPTY, UNKNOWN = "━", "╸", "─", "┄"
BAR_STYLE, EMPTY_STYLE, DIM, MONEY, BAD, WAIT = (
    "bright_blue",
    "bright_black",
    "bright_black",
    "magenta",
    "red",
    "yellow",
)
QUIET_REASONS = frozenset({"Running", "Planning"})
"""Reasons that need no line of their own while something runs."""

QUIET_SECONDS = 1.5
"""A job that young always waits a moment; saying why would only flicker."""

ENDED = ("succeeded", "dead_lettered", "cancelled")


@dataclass
class Clock:
    """When each stage was first and last seen at work, in the fabric's own time."""

    began: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    looked: str = ""

    def look(self, job: dict[str, Any]) -> None:
        """Note which stages are at work and which have come to their end."""
        # A stage that is new since the last look began somewhere between that look and this one.
        since = self.looked or job["started_at"] or job["as_of"]
        self.looked = job["as_of"]
        for stage in job["stages"]:
            name, at_work = stage["name"], stage["running"] or done(stage)
            if at_work and name not in self.began:
                self.began[name] = since
            if is_complete(stage) and name in self.began:
                self.ended.setdefault(name, job["as_of"])
            else:
                self.ended.pop(name, None)

    def seconds(self, stage: str, now: str) -> float | None:
        """How long the stage has taken; None before it began."""
        return seconds_between(self.began.get(stage), self.ended.get(stage, now))


def done(stage: dict[str, Any]) -> int:
    """How many tasks of a stage have ended."""
    return sum(int(stage[name]) for name in ENDED)


def is_complete(stage: dict[str, Any]) -> bool:
    """Whether a stage has tasks, and all of them have ended."""
    return 0 < stage["total"] == done(stage)


def bar(share: float, cells: int) -> Text:
    """A bar of this many cells, in halves, filled to ``share`` (0 to 1)."""
    halves = int(min(max(share, 0.0), 1.0) * cells * 2)
    text = Text(FULL * (halves // 2) + HALF * (halves % 2), BAR_STYLE)
    return text.append(EMPTY * (cells - halves // 2 - halves % 2), EMPTY_STYLE)


def cells_for(width: int) -> int:
    """How many cells a bar may have on a terminal of this width."""
    return BAR_CELLS if width >= 80 else max(LEAST_CELLS, BAR_CELLS - (80 - width))


def stage_lines(job: dict[str, Any], clock: Clock, width: int) -> list[Text]:
    """One line per stage: name, bar, count, time, what it does or waits for."""
    stages = job["stages"]
    widest = max((len(_figures(stage)) for stage in stages), default=0)
    lines = []
    for position, stage in enumerate(stages):
        line = Text(f"{shortened(stage['name'], NAME_WIDTH - 1):<{NAME_WIDTH}}")
        line.append_text(_bar(stage, cells_for(width)))
        line.append(f"  {_figures(stage):>{max(widest, 6)}}   ")
        line.append(f"{_time(stage, job, clock):<8}")
        line.append_text(_note(stage, stages[:position], stages[position + 1 :], job))
        line.rstrip()
        line.truncate(min(width, WIDEST), overflow="ellipsis")
        lines.append(line)
    return lines


def total_line(job: dict[str, Any], a_minute: float | None) -> Text:
    """The job as a whole: percent, pace, time left, tokens, money."""
    progress = job["progress"]
    parts = [percent(progress["percent"] / 100, 0)]
    if a_minute:
        parts.append(f"{a_minute:,.0f} a minute")
    if (eta := progress.get("eta_seconds")) is not None:
        parts.append(f"ETA {about(eta)}")
    parts += [f"{rough(tokens(job['usage']))} tokens", spent(job)]
    return Text(" " * NAME_WIDTH + " · ".join(parts))


def spent(job: dict[str, Any]) -> str:
    """Money spent, reserved, and the limit."""
    budget = job.get("budget") or {}
    reserved, limit = budget.get("reserved_usd"), budget.get("limit_usd")
    text = dollars(job["cost_usd"])
    if reserved:
        text += f" + {dollars(reserved)} reserved"
    return text + (f" of {dollars(limit)}" if limit is not None else "")


def trouble_lines(job: dict[str, Any], dead: dict[str, Any] | None) -> list[Text]:
    """Why tasks wait and what has failed, each with the command that goes on.

    ``dead`` is one dead-lettered task of the job, where there is one.
    """
    lines, progress = [], job["progress"]
    waiting = progress["queued"] + (0 if progress["running"] else progress["blocked"])
    is_news = job["reason"] not in QUIET_REASONS and _age(job) >= QUIET_SECONDS
    if waiting and is_news:
        told = f"{job['reason']}: {job['message']}" if job["message"] else job["reason"]
        lines.append(_pointer(f"{count(waiting)} wait", WAIT, told, f"daef explain {job['id']}"))
    if progress["dead_lettered"]:
        error = (dead or {}).get("error") or {}
        told = f"{error.get('code', 'failed')}: {error.get('message', '')}".rstrip(": ")
        command = f"daef get {job['id']} tasks --status DeadLettered"
        lines.append(_pointer(f"{count(progress['dead_lettered'])} dead", BAD, told, command))
    return lines


def end_line(job: dict[str, Any]) -> Text:
    """How the job ended: status, time, tasks, tokens, money."""
    progress, status = job["progress"], job["status"]
    took = seconds_between(job["created_at"], job["finished_at"])
    line = Text(status_word(status), f"bold {STATUS_STYLES.get(status, '')}".strip())
    parts = [f"{count(progress['succeeded'])} of {count(progress['total'])} tasks"]
    if used := tokens(job["usage"]):
        parts.append(f"{count(used)} tokens")
    line.append(f" in {duration(took)} · " if took is not None else " · ")
    return line.append(" · ".join([*parts, spent(job)]))


def change_line(job: dict[str, Any]) -> str:
    """The job on one line without bars, for logs: status, stages, percent, tokens, money."""
    stages = " · ".join(f"{plain(stage['name'])} {_figures(stage)}" for stage in job["stages"])
    progress = job["progress"]
    parts = [stages, percent(progress["percent"] / 100, 0)]
    if progress["dead_lettered"]:
        parts.append(f"{count(progress['dead_lettered'])} dead")
    parts += [f"{rough(tokens(job['usage']))} tokens", spent(job)]
    told = " · ".join(part for part in parts if part)
    waits = job["progress"]["queued"] and not progress["running"]
    why = f" · {job['reason']}" if waits and job["reason"] not in QUIET_REASONS else ""
    return f"{status_word(job['status'])}: {told}{why}"


def _age(job: dict[str, Any]) -> float:
    return seconds_between(job["created_at"], job["as_of"]) or 0.0


def _pointer(label: str, style: str, told: str, command: str) -> Text:
    line = Text(f"{label:<{NAME_WIDTH}}", style)
    line.append(f"{shortened(told, 78 - len(command)):<34}", "default")
    return line.append(f"  {command}", "cyan")


def _bar(stage: dict[str, Any], cells: int) -> Text:
    if not stage["total"]:
        return Text(UNKNOWN * cells, EMPTY_STYLE)
    return bar(done(stage) / stage["total"], cells)


def _figures(stage: dict[str, Any]) -> str:
    if stage["total"]:
        return f"{done(stage)}/{stage['total']}"
    low, high = stage["planned_min"], stage["planned_max"]
    return f"≤ {high}" if low == 0 or low == high else f"{low}–{high}"


def _time(stage: dict[str, Any], job: dict[str, Any], clock: Clock) -> str:
    seconds = clock.seconds(stage["name"], job["as_of"])
    return "" if seconds is None or not stage["total"] else duration(seconds)


def _note(
    stage: dict[str, Any],
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    job: dict[str, Any],
) -> Text:
    """What the stage is doing; dead letters last and in red."""
    parts = [f"{count(stage[name])} {name}" for name in ("running", "queued") if stage[name]]
    if not parts and not is_complete(stage):
        parts = _waits(stage, before)
    if stage["name"] == "cluster" and is_complete(stage) and job["type"] == "analyze":
        found = next((one["total"] for one in after if one["name"] == "label"), 0)
        parts = [f"{found} {'cause' if found == 1 else 'causes'} found"] if found else []
    note = Text(" · ".join(parts))
    if stage["dead_lettered"]:
        note.append(" · " if parts else "").append(f"{count(stage['dead_lettered'])} dead", BAD)
    return note


def _waits(stage: dict[str, Any], before: list[dict[str, Any]]) -> list[str]:
    open_before = [one["name"] for one in before if not is_complete(one)]
    if not open_before:
        return []
    nearest = plain(open_before[-1])
    return [f"waits for {nearest}" if stage["total"] else f"known after {nearest}"]
