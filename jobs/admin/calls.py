"""What on the dashboard needs a person: the rules, and what each says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from jobs.admin.job_list import ACTIVE
from jobs.admin.words import age
from jobs.queries.workers import LOST
from jobs.states import WorkerState

DEAD_OF_ONE_CAUSE: Final = 5
"""Dead letters of one cause within an hour that call for a person (console design, section 5)."""


@dataclass(frozen=True)
class Call:
    """One thing that needs a person: what, since when or how much, and where to look.

    ``needs`` is the permission to see the page behind ``address``; ``colour`` is that of the icon.
    """

    icon: str
    text: str
    detail: str
    address: str
    label: str = "Look"
    needs: str = "jobs.view_job"
    colour: str = "warn"


def all_calls(
    waiting: list[dict[str, Any]],
    workers: list[dict[str, Any]],
    causes: list[dict[str, Any]],
    *,
    redis: bool,
) -> list[Call]:
    """Return what needs a person, the longest wait first; all rules of the page are here."""
    late = sorted((row for row in waiting if is_late(row)), key=_lateness, reverse=True)
    able = {row["pool"] for row in workers if row["state"] == WorkerState.ACTIVE}
    alone = sorted({row["pool"] for row in waiting if row["queued"]} - able)
    lost = [row for row in workers if row["state"] == LOST and row["leases"]]
    many = [cause for cause in causes if cause["tasks"] >= DEAD_OF_ONE_CAUSE]
    return [
        *(() if redis else (_no_redis(),)),
        *(_nobody(pool) for pool in alone),
        *(_late(row) for row in late),
        *(_died(cause) for cause in many),
        *(_silent(row) for row in lost),
    ]


def is_late(row: dict[str, Any]) -> bool:
    """Tell whether a queue's oldest task waits for longer than its class may."""
    return row["oldest_seconds"] is not None and row["oldest_seconds"] > row["bound_seconds"]


def _lateness(row: dict[str, Any]) -> float:
    return float(row["oldest_seconds"]) / max(row["bound_seconds"], 1)


def _no_redis() -> Call:
    return Call(
        "alert",
        "Redis does not answer",
        "Nothing is lost: agents learn of work by their heartbeats, a little later. "
        "Start Redis again, or look at DAEF_REDIS_ADDR.",
        reverse("admin:queues"),
        label="Queues",
        needs="jobs.view_pool",
        colour="bad",
    )


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
        needs="jobs.view_worker",
        colour="bad",
    )


def _died(cause: dict[str, Any]) -> Call:
    return Call(
        "dead",
        f"{cause['tasks']:,} tasks died of one cause in the last hour: {cause['code']}",
        "Read the message, mend the cause, then requeue its tasks.",
        reverse("admin:jobs_deadletter_changelist"),
        label="Dead letters",
        needs="jobs.view_deadletter",
        colour="bad",
    )


def _silent(row: dict[str, Any]) -> Call:
    return Call(
        "x",
        f"Worker {row['name']} was not heard of for {age(row['silent_seconds'])}",
        f"It held {row['busy']:,} tasks; they run again when their leases end.",
        reverse("admin:jobs_worker_change", args=[row["id"]]),
        needs="jobs.view_worker",
    )


def _jobs(**query: str) -> str:
    wanted = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{reverse('admin:jobs_job_changelist')}?{wanted}"
