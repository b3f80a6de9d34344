"""The confirm page on which an operator takes a worker out of service."""

from __future__ import annotations

from typing import Any, Final

from django.urls import reverse

from jobs.queries.load import queues
from jobs.queries.workers import LOST, list_workers
from jobs.states import WorkerState

CONTROLS: Final = "jobs.change_worker"
"""The permission to drain workers, besides that to see them."""

CONSEQUENCE: Final = (
    "It takes no new task, finishes those it has, and leaves. There is no way back: to have it "
    "again, start the agent again."
)
IMPOSSIBLE: Final[dict[str, str]] = {
    WorkerState.DRAINING: "It drains already: it takes no new task and leaves when it is done.",
    WorkerState.GONE: "It has left; there is nothing to drain.",
}


def drain_context(worker: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows: what the worker holds, and what its pool keeps without it."""
    pool = _active(worker["pool"])
    rest = [row for row in pool if row["id"] != worker["id"]]
    ends = [lease["close_at"] for lease in worker["held"]]
    stored = worker["stored_state"]
    return {
        "about": "console/about_worker.html",
        "worker": worker,
        "pool": _offer(pool),
        "rest": _offer(rest),
        "queued": sum(row["queued"] for row in queues() if row["pool"] == worker["pool"]),
        "last_end": max(ends, default=None),
        "verb": f"Drain {worker['name']}",
        "consequence": CONSEQUENCE,
        "colour": "D",
        "possible": can_drain(worker),
        "impossible": IMPOSSIBLE.get(stored, ""),
        "back": worker_address(worker["id"]),
    }


def can_drain(worker: dict[str, Any]) -> bool:
    """Tell whether a worker takes tasks, so that it can be told to take no more."""
    return bool(worker["stored_state"] == WorkerState.ACTIVE)


def told(worker: dict[str, Any]) -> str:
    """Return what the person is told afterwards."""
    left = f"{worker['busy']:,} left" if worker["busy"] else "it holds none and leaves"
    return f"{worker['name']} takes no new tasks; {left}."


def worker_address(identifier: int) -> str:
    """Return the address of a worker's page."""
    return reverse("admin:jobs_worker_change", args=[identifier])


def _active(pool: str) -> list[dict[str, Any]]:
    """Return the workers of a pool that take tasks now."""
    living = list_workers(pool=pool)
    return [row for row in living if can_drain(row) and row["state"] != LOST]


def _offer(workers: list[dict[str, Any]]) -> dict[str, int]:
    return {"live": len(workers), "offered": sum(row["slots"] for row in workers)}
