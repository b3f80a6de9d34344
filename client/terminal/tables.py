"""Jobs, tasks and explanations as aligned lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from .words import (
    STATUS_STYLES,
    counted,
    dollars,
    duration,
    percent,
    plain,
    seconds_between,
    shortened,
    status_word,
)

TASK_STYLES = {**STATUS_STYLES, "DeadLettered": "bold red", "Blocked": "bright_black"}


def jobs_table(page: dict[str, Any]) -> Table:
    """A page of jobs."""
    table = _table("job", "type", "status", "tasks", "done", "cost", "created", "why")
    for job in page["items"]:
        progress = job["progress"]
        table.add_row(
            job["id"],
            job["type"],
            status_text(job["status"]),
            f"{progress['succeeded']}/{progress['total']}",
            percent(progress["percent"] / 100, 0),
            dollars(job["cost_usd"]),
            _clock(job["created_at"]),
            job["reason"],
        )
    return table


def tasks_table(page: dict[str, Any]) -> Table:
    """A page of tasks."""
    table = _table("task", "name", "kind", "status", "attempt", "took", "worker", "error")
    for task in page["items"]:
        error = task["error"] or {}
        took = seconds_between(task["started_at"], task["finished_at"])
        table.add_row(
            task["id"],
            shortened(task["name"] or "", 20),
            task["kind"],
            status_text(task["status"]),
            f"{task['attempt']}/{task['max_attempts']}",
            "–" if took is None else duration(took),
            plain(task["worker"] or "–"),
            shortened(f"{error['code']}: {error['message']}" if error else "", 48),
        )
    return table


def page_line(page: dict[str, Any], noun: str) -> str:
    """How much of the whole the page shows."""
    shown = len(page["items"])
    if shown == page["total"]:
        return counted(shown, noun)
    offset = page["offset"]
    return f"{noun}s {offset + 1}–{offset + shown} of {page['total']}; more with --offset"


def status_text(status: str) -> Text:
    """A status in its words and colour."""
    return Text(status_word(status), TASK_STYLES.get(status, ""))


def explanation_lines(explanation: dict[str, Any]) -> Iterator[Text]:
    """Why a job is where it is: reason, figures, what would help and what would not."""
    yield Text(explanation["reason"], "bold").append(f": {plain(explanation['message'])}", "")
    for number in explanation["numbers"]:
        yield Text(f"    {plain(number['name']):<32} {number['value']:g}")
    for help_ in explanation["helps"]:
        yield Text("helps     ", "green").append(
            f"{plain(help_['change'])} → {plain(help_['effect'])}", "default"
        )
    for useless in explanation["helps_not"]:
        yield Text("helps not ", "bright_black").append(plain(useless), "default")


def _clock(moment: str) -> str:
    """Month, day, hour, minute of an RFC 3339 time; the full one is in the JSON."""
    return moment[5:16].replace("T", " ")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
