"""Pools in the console: their limits, and how busy each is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from jobs.admin.calls import is_late
from jobs.admin.declared_admin import DeclaredAdmin
from jobs.admin.declared_fields import settings_shown
from jobs.admin.worker_admin import pool_cards
from jobs.models import Pool
from jobs.planner.declarations import PoolSettings, Spec
from jobs.queries import catalogue
from jobs.queries.load import queues
from jobs.queries.workers import list_workers


@admin.register(Pool)
class PoolAdmin(DeclaredAdmin):
    """Agents that can stand in for each other, and what waits for them."""

    plural = "Pools"
    kind = "pools"
    one = "pool"
    takes_effect = "The next claim goes by it; tasks that run stay."
    start = PoolSettings()
    list_fragment = "console/pools.html"
    object_fragment = "console/pool.html"
    every_seconds = 5

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all pools by name."""
        limits = dict(Pool.objects.values_list("name", "max_running_tasks"))
        cards = pool_cards(list_workers(), queues())
        return {
            "pools": [{**card, "most": limits.get(card["name"])} for card in cards],
            "may_declare": self.may_declare(request),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one pool by its name."""
        known = self.found(identifier)
        assert isinstance(known.spec, PoolSettings)
        workers, waiting = list_workers(pool=known.name), queues()
        rows = [row for row in waiting if row["pool"] == known.name]
        return {
            "title": f"Pool {known.name}",
            "name": known.name,
            "card": pool_cards(workers, waiting, only=known.name)[0],
            "most": known.spec.max_running_tasks,
            "running": sum(row["running"] for row in rows),
            "queues": [{**row, "late": is_late(row)} for row in rows],
            "workers": workers,
            "mixed": len({worker["tenant"] for worker in workers}) > 1,
            "policies": catalogue.policies_naming(known.name),
            "settings": settings_shown(self.kind, known.spec),
            "as_of": timezone.now(),
            "may_declare": self.may_declare(request),
        }

    def cautions(self, name: str, before: Spec | None, after: Spec) -> list[str]:
        """Say where more runs now than may from now on."""
        assert isinstance(after, PoolSettings)
        running = sum(row["running"] for row in queues() if row["pool"] == name)
        if after.max_running_tasks is None or running <= after.max_running_tasks:
            return []
        return [f"{running:,} tasks run in it now: none is stopped, and none starts before."]
