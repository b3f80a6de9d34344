"""The dashboard: whether the fabric needs a person, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from access.actors import SYSTEM
from jobs.admin.job_list import ACTIVE, TROUBLED
from jobs.admin.words import age
from jobs.queries.formats import usd
from jobs.queries.jobs import JobFilter, list_jobs
from jobs.queries.load import queues
from jobs.queries.overview import COUNTED_TO, dead_letters, jobs_by_status, spent_today
from jobs.queries.workers import LOST, list_workers
from jobs.states import WorkerState

CACHE_KEY: Final = "console-dashboard"
CACHE_SECONDS: Final = 2
"""However many people look, each gateway asks the database once in this time."""

NEWEST_JOBS: Final = 8
DEAD_OF_ONE_CAUSE: Final = 5
"""Dead letters of one cause within an hour that call for a person (console design, section 5)."""


@dataclass(frozen=True)
class Call:
    """One thing that needs a person: what, since when or how much, and where to look."""

    icon: str
    text: str
    detail: str
    address: str


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the dashboard shows this user; ``figures`` is None without leave to see jobs."""
    if not request.user.has_perm("jobs.view_job"):
        return {"figures": None}
    figures = cache.get(CACHE_KEY)
    if figures is None:
        figures = current_figures(now=timezone.now())
        cache.set(CACHE_KEY, figures, CACHE_SECONDS)
    return {"figures": figures}


def current_figures(*, now: datetime) -> dict[str, Any]:
    """Return every figure of the dashboard, as the tables are now."""
    waiting, workers = queues(), list_workers()
    dead, spent = dead_letters(now=now), spent_today(now=now)
    return {
        "as_of": now,
        "calls": calls(waiting, workers, json.loads(dead["causes"])),
        "jobs": jobs_by_status(now=now),
        "queues": waiting,
        "oldest": _worst([row for row in waiting if row["oldest_seconds"] is not None]),
        "queued": sum(row["queued"] for row in waiting),
        "running": sum(row["running"] for row in waiting),
        "workers": workers,
        "slots": slots(workers),
        "dead_letters": dead["dead_letters"],
        "counted_to": COUNTED_TO,
        "spent": [{**row, "cost_usd": usd(row["cost_nano_usd"])} for row in spent],
        "cost_usd": usd(sum(row["cost_nano_usd"] for row in spent)),
        "newest": list_jobs(SYSTEM, JobFilter(), limit=NEWEST_JOBS, offset=0, now=now)["items"],
    }


def calls(
    waiting: list[dict[str, Any]], workers: list[dict[str, Any]], causes: list[dict[str, Any]]
) -> list[Call]:
    """Return what needs a person, the longest wait first; all rules of the page are here."""
    late = sorted((row for row in waiting if is_late(row)), key=_lateness, reverse=True)
    able = {row["pool"] for row in workers if row["state"] == WorkerState.ACTIVE}
    alone = sorted({row["pool"] for row in waiting if row["queued"]} - able)
    lost = [row for row in workers if row["state"] == LOST and row["leases"]]
    many = [cause for cause in causes if cause["tasks"] >= DEAD_OF_ONE_CAUSE]
    return [
        *(_nobody(pool) for pool in alone),
        *(_late(row) for row in late),
        *(_died(cause) for cause in many),
        *(_silent(row) for row in lost),
    ]


def is_late(row: dict[str, Any]) -> bool:
    """Tell whether a queue's oldest task waits for longer than its class may."""
    return row["oldest_seconds"] is not None and row["oldest_seconds"] > row["bound_seconds"]


def slots(workers: list[dict[str, Any]]) -> dict[str, int]:
    """Return the slots that live workers offer, and how many of them are busy."""
    live = [row for row in workers if row["state"] != LOST]
    return {
        "offered": sum(row["slots"] for row in live),
        "busy": sum(row["busy"] for row in live),
        "live": len(live),
        "lost": len(workers) - len(live),
    }


def _worst(waiting: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max(waiting, key=_lateness, default=None)


def _lateness(row: dict[str, Any]) -> float:
    return row["oldest_seconds"] / max(row["bound_seconds"], 1)


def _late(row: dict[str, Any]) -> Call:
    return Call(
        "hour",
        f"{row['pool']} · {row['class']} waits {age(row['oldest_seconds'])}; "
        f"its bound is {age(row['bound_seconds'])}",
        f"{row['queued']:,} tasks are queued, {row['running']:,} run.",
        _jobs(status=ACTIVE, priority=row["class"]),
    )


def _nobody(pool: str) -> Call:
    return Call(
        "alert",
        f"No live worker serves the pool {pool}, and tasks wait in it",
        "Start an agent: python -m workeragent.",
        reverse("admin:jobs_worker_changelist"),
    )


def _died(cause: dict[str, Any]) -> Call:
    return Call(
        "dead",
        f"{cause['tasks']:,} tasks died of one cause in the last hour: {cause['code']}",
        "Open a job that failed to read the message, mend the cause, then retry the job.",
        _jobs(status=TROUBLED),
    )


def _silent(row: dict[str, Any]) -> Call:
    return Call(
        "x",
        f"Worker {row['name']} was not heard of for {age(row['silent_seconds'])}",
        f"It held {row['busy']:,} tasks; they run again when their leases end.",
        reverse("admin:jobs_worker_change", args=[row["id"]]),
    )


def _jobs(**query: str) -> str:
    wanted = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{reverse('admin:jobs_job_changelist')}?{wanted}"
