"""Workers in the console, and how busy each pool is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.utils import timezone

from access.readonly_admin import ReadOnlyAdmin
from jobs.actions.fleet import heartbeat_seconds
from jobs.admin.dashboard import is_late, slots
from jobs.errors import NotFound
from jobs.models import Worker
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
