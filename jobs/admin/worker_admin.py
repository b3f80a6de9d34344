"""Workers and pools in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone

from access.readonly_admin import ReadOnlyAdmin
from jobs.actions.fleet import heartbeat_seconds
from jobs.admin.dashboard import is_late, slots
from jobs.errors import NotFound
from jobs.models import Pool, Worker
from jobs.queries.load import queues
from jobs.queries.workers import list_workers, worker_document


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """The fleet as it is now, and the page of each worker."""

    plural = "Workers"
    list_fragment = "console/workers.html"
    object_fragment = "console/worker.html"
    every_seconds = 5

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the workers that have not left, and each pool's slots and queues."""
        workers, waiting = list_workers(), queues()
        return {
            "heading": self.plural,
            "workers": workers,
            "slots": slots(workers),
            "pools": pool_cards(workers, waiting),
            "heartbeat_late": 2 * heartbeat_seconds(),
            "as_of": timezone.now(),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one worker with what it holds."""
        if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= 18):
            raise Http404
        try:
            worker = worker_document(int(identifier))
        except NotFound as error:
            raise Http404 from error
        return {"worker": worker, "title": f"Worker {worker['name']}", "as_of": timezone.now()}


@admin.register(Pool)
class PoolAdmin(ReadOnlyAdmin):
    """Pools with their limits; read-only."""

    plural = "Pools"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all pools by name."""
        rows = [(_pool_link(pool.name), *_limits(pool)) for pool in Pool.objects.all()]
        return {
            "heading": self.plural,
            "lead": "Agents that can stand in for each other; an agent is in exactly one.",
            "columns": ("Pool", "Running at most", "Interactive waits", "Standard", "Batch"),
            "rows": rows,
            "empty": "No pool yet: the first agent makes the one it names.",
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one pool by its name."""
        pool = Pool.objects.filter(name=identifier).first()
        if pool is None:
            raise Http404
        card = pool_cards(list_workers(pool=pool.name), queues(), only=pool.name)[0]
        most, *bounds = _limits(pool)
        classes = zip(("Interactive", "Standard", "Batch"), bounds, strict=True)
        return {
            "heading": f"Pool {pool.name}",
            "facts": [
                ("Slots busy", f"{card['slots']['busy']:,} of {card['slots']['offered']:,}"),
                ("Workers", card["slots"]["live"]),
                ("Queued", card["queued"]),
                ("Running at most", most),
                *((f"{name} may wait", bound) for name, bound in classes),
                ("Since", pool.created_at),
            ],
        }


def pool_cards(
    workers: list[dict[str, Any]], waiting: list[dict[str, Any]], *, only: str | None = None
) -> list[dict[str, Any]]:
    """Return each pool's slots, its queues with work, and which of them wait too long."""
    names = [only] if only else sorted({row["pool"] for row in waiting})
    return [_card(name, workers, waiting) for name in names]


def _card(
    pool: str, workers: list[dict[str, Any]], waiting: list[dict[str, Any]]
) -> dict[str, Any]:
    rows = [row for row in waiting if row["pool"] == pool]
    return {
        "name": pool,
        "slots": slots([worker for worker in workers if worker["pool"] == pool]),
        "queued": sum(row["queued"] for row in rows),
        "classes": [{**row, "late": is_late(row)} for row in rows if row["queued"]],
    }


def _pool_link(name: str) -> dict[str, str]:
    return {"text": name, "href": reverse("admin:jobs_pool_change", args=[name])}


def _limits(pool: Pool) -> tuple[str, str, str, str]:
    most = pool.max_running_tasks
    return (
        "no limit" if most is None else f"{most:,} tasks",
        f"{pool.interactive_bound_seconds:,} s",
        f"{pool.standard_bound_seconds:,} s",
        f"{pool.batch_bound_seconds:,} s",
    )
