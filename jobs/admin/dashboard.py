"""The dashboard: whether the fabric needs a person, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone

from access.actors import SYSTEM
from jobs.admin.calls import all_calls, is_late
from jobs.admin.charts import ended_chart, running_chart, sparkline
from jobs.queries.formats import usd
from jobs.queries.jobs import job_documents
from jobs.queries.load import queues
from jobs.queries.lookup import visible_jobs
from jobs.queries.minutes import Hour, last_hour, usual_failing_share
from jobs.queries.overview import (
    COUNTED_TO,
    changed_last,
    dead_letters,
    jobs_by_status,
    spent_today,
)
from jobs.queries.workers import LOST, list_workers
from queueing import rq_state

FIGURES_SECONDS: Final = 2
"""However many people look, each gateway asks the database once in this time."""

SLOW_SECONDS: Final = 60
"""What is compared with days before, or added up over today, need not be newer than this."""

CHANGED_JOBS: Final = 8
MOST_QUEUES: Final = 30
MOST_WORKERS: Final = 12
MOST_CAUSES: Final = 6
SQUARES: Final = 32
"""Slots of one worker that are drawn one by one (console design, section 5g)."""


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the dashboard shows this user; ``figures`` is None without leave to see jobs."""
    if not request.user.has_perm("jobs.view_job"):
        return {"figures": None}
    figures = _kept("console-dashboard", FIGURES_SECONDS, current_figures)
    needed = {call.needs for call in figures["calls"]}
    may = {permission for permission in needed if request.user.has_perm(permission)}
    return {"figures": figures, "may": may}


def current_figures(*, now: datetime) -> dict[str, Any]:
    """Return every figure of the dashboard, as the tables are now."""
    waiting, workers = queues(), list_workers()
    dead, redis = dead_letters(now=now), rq_state.answers()
    causes = json.loads(dead["causes"])
    hour = last_hour(now=now)
    return {
        "as_of": now,
        "redis": redis,
        "calls": all_calls(waiting, workers, causes, redis=redis),
        "queues": queue_lines(waiting, hour),
        "oldest": _worst([row for row in waiting if row["oldest_seconds"] is not None]),
        "queued": sum(row["queued"] for row in waiting),
        "running": sum(row["running"] for row in waiting),
        "slots": slots(workers),
        "workers": [_worker(row) for row in workers[:MOST_WORKERS]],
        "more_workers": max(0, len(workers) - MOST_WORKERS),
        "dead_letters": dead["dead_letters"],
        "counted_to": COUNTED_TO,
        **_hour_figures(hour, causes),
        **_kept("console-dashboard-slow", SLOW_SECONDS, slow_figures),
        "changed": _changed(now),
    }


def slow_figures(*, now: datetime) -> dict[str, Any]:
    """Return the figures that may be a little older."""
    spent = spent_today(now=now)
    most = max((row["cost_nano_usd"] for row in spent), default=0)
    counts = jobs_by_status(now=now)
    tokens = max(map(_tokens, spent), default=0)
    return {
        "usual_failing": _percent(usual_failing_share(now=now)),
        "jobs": counts,
        "jobs_capped": sum(counts.values()) > COUNTED_TO,
        "spent": [
            {
                **row,
                "cost_usd": usd(row["cost_nano_usd"]),
                # Where nothing costs anything, tokens tell who used the most.
                "part": row["cost_nano_usd"] if most else _tokens(row),
            }
            for row in spent
        ],
        "spent_most": most or tokens,
        "cost_usd": usd(sum(row["cost_nano_usd"] for row in spent)),
        "tokens": sum(map(_tokens, spent)),
    }


def slots(workers: list[dict[str, Any]]) -> dict[str, int]:
    """Return the slots that live workers offer, and how many of them are busy."""
    live = [row for row in workers if row["state"] != LOST]
    return {
        "offered": sum(row["slots"] for row in live),
        "busy": sum(row["busy"] for row in live),
        "draining": sum(row["busy"] for row in live if row["state"] == "Draining"),
        "live": len(live),
        "lost": len(workers) - len(live),
    }


def slot_squares(worker: dict[str, Any]) -> list[str]:
    """Return the CSS class of each slot's square; none where there are too many to draw."""
    if worker["slots"] > SQUARES:
        return []
    busy, idle = worker["busy"], worker["slots"] - worker["busy"]
    if worker["state"] == LOST:
        return ["o"] * worker["slots"]
    return ["warn-f" if worker["state"] == "Draining" else "run-f"] * busy + [""] * idle


def _kept(key: str, seconds: int, make: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    found = cache.get(key)
    if found is None:
        found = make(now=timezone.now())
        cache.set(key, found, seconds)
    return found


def _hour_figures(hour: Hour, causes: list[dict[str, Any]]) -> dict[str, Any]:
    dead = {cause["code"]: cause["tasks"] for cause in causes}
    failures = [
        {"code": code, "attempts": count, "dead": dead.get(code, 0)}
        for code, count in list(hour.failures.items())[:MOST_CAUSES]
    ]
    return {
        "ended_chart": ended_chart(hour),
        "running_chart": running_chart(hour),
        "hour": [hour.minutes[0], hour.minutes[20], hour.minutes[40], hour.minutes[-1]],
        "ended_any": any(hour.ended),
        "pace": round(hour.pace, 1) if hour.pace < 10 else round(hour.pace),
        "failing": _percent(hour.failing_share),
        "failures": failures,
        "failures_most": max(hour.failures.values(), default=0),
        "more_failures": max(0, len(hour.failures) - MOST_CAUSES),
    }


def queue_lines(waiting: list[dict[str, Any]], hour: Hour) -> dict[str, Any]:
    """Return the rows that stand on the page: with many pools only those where something is."""
    rows = waiting
    if len(rows) > MOST_QUEUES:
        rows = [row for row in rows if row["queued"] or row["running"]]
        rows = sorted(rows, key=_lateness, reverse=True)[:MOST_QUEUES]
    shown = [{**row, "late": is_late(row), "line": _line(row, hour)} for row in rows]
    return {"rows": shown, "more": len(waiting) - len(rows)}


def _line(row: dict[str, Any], hour: Hour) -> str:
    values = hour.queued.get((row["pool_id"], row["priority"]), [])
    return sparkline(values, "late" if is_late(row) else "run")


def _worker(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "squares": slot_squares(row)}


def _changed(now: datetime) -> list[dict[str, Any]]:
    wanted = changed_last(jobs=CHANGED_JOBS)
    found = {job.pk: job for job in visible_jobs(SYSTEM).filter(pk__in=wanted).defer("input")}
    return job_documents([found[number] for number in wanted if number in found], now=now)


def _worst(waiting: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max(waiting, key=_lateness, default=None)


def _lateness(row: dict[str, Any]) -> float:
    return (row["oldest_seconds"] or 0.0) / max(row["bound_seconds"], 1)


def _tokens(row: dict[str, Any]) -> int:
    return int(row["input_tokens"] + row["output_tokens"])


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
