"""Pools in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.urls import reverse

from access.readonly_admin import ReadOnlyAdmin
from jobs.admin.worker_admin import pool_cards
from jobs.models import Pool
from jobs.queries.load import queues
from jobs.queries.workers import list_workers


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
