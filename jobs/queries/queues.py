"""Every queue as it is now, for people and scripts: work, workers, tickets, what waits too long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from jobs.models import Pool
from jobs.queries.formats import moment, select
from jobs.queries.load import queues
from jobs.queries.workers import LOST, list_workers
from jobs.states import WorkerState
from queueing.rq_client import QueueUnavailable, TicketQueue

# The table holds dead letters alone: its count is a scan of an index, and exact.
DEAD_LETTERS = "select count(*)::int as tasks from dead_letter"


def queue_report(*, pool: str | None = None) -> dict[str, Any]:
    """Return each pool with its queues, workers and tickets, and sentences on what is late."""
    now: datetime = timezone.now()
    rows, workers = queues(), list_workers()
    limits = dict(Pool.objects.values_list("name", "max_running_tasks"))
    names = sorted(name for name in limits if pool in (None, name))
    tickets = _tickets(names)
    found = [_pool(name, limits[name], tickets[name], rows, workers) for name in names]
    return {
        "as_of": moment(now),
        "pools": found,
        "dead_letters": select(DEAD_LETTERS, {})[0]["tasks"],
        "late": [sentence for each in found for sentence in _late(each)],
    }


def _pool(
    name: str,
    most: int | None,
    tickets: int | None,
    rows: list[dict[str, Any]],
    workers: list[dict[str, Any]],
) -> dict[str, Any]:
    fleet = [worker for worker in workers if worker["pool"] == name]
    live = [worker for worker in fleet if worker["state"] != LOST]
    offering = [worker for worker in live if worker["state"] == WorkerState.ACTIVE]
    return {
        "name": name,
        "max_running_tasks": most,
        "workers": len(live),
        "workers_lost": len(fleet) - len(live),
        "slots": sum(worker["slots"] for worker in offering),
        "slots_busy": sum(worker["busy"] for worker in offering),
        "tickets": tickets,
        "queues": [_queue(row) for row in rows if row["pool"] == name],
    }


def _queue(row: dict[str, Any]) -> dict[str, Any]:
    oldest, bound = row["oldest_seconds"], row["bound_seconds"]
    return {
        "priority": row["class"],
        "queued": row["queued"],
        "running": row["running"],
        "oldest_seconds": None if oldest is None else round(oldest, 3),
        "bound_seconds": bound,
        "late": oldest is not None and oldest > bound,
    }


def _late(pool: dict[str, Any]) -> list[str]:
    found = [
        f"{row['priority']} work waits {row['oldest_seconds']:.0f} s in the pool {pool['name']}, "
        f"bound {row['bound_seconds']} s"
        for row in pool["queues"]
        if row["late"]
    ]
    if any(row["queued"] for row in pool["queues"]) and not pool["slots"]:
        found.append(f"work waits in the pool {pool['name']}, and no worker there takes any")
    return found


def _tickets(pools: list[str]) -> dict[str, int | None]:
    """The tickets of each pool; None where Redis does not answer."""
    try:
        return dict(TicketQueue().count(pools))
    except QueueUnavailable:
        return dict.fromkeys(pools)
