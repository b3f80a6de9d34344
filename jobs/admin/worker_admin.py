"""Workers in the console, and how busy each pool is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone

from access.readonly_admin import ReadOnlyAdmin
from jobs.actions.drain import drain_worker
from jobs.actions.fleet import heartbeat_seconds
from jobs.admin.calls import is_late
from jobs.admin.control import ReasonForm, confirm_page, origin_of, require, staff_actor
from jobs.admin.dashboard import slot_squares, slots
from jobs.admin.drain_page import CONTROLS, can_drain, drain_context, told, worker_address
from jobs.errors import DaefError, NotFound
from jobs.models import Worker
from jobs.queries.load import queues
from jobs.queries.workers import list_workers, worker_document, worker_number


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
            "workers": [
                {**worker, "can_drain": can_drain(worker), "squares": slot_squares(worker)}
                for worker in workers
            ],
            "may_drain": request.user.has_perm(CONTROLS),
            "slots": slots(workers),
            "pools": pool_cards(workers, waiting),
            "heartbeat_late": 2 * heartbeat_seconds(),
            "as_of": timezone.now(),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one worker with what it holds."""
        worker = _found(identifier)
        return {
            "worker": worker,
            "may_drain": can_drain(worker) and request.user.has_perm(CONTROLS),
            "title": f"Worker {worker['name']}",
            "as_of": timezone.now(),
        }

    def more_urls(self) -> list[URLPattern]:
        """Return the address of the page that drains a worker."""
        view = self.admin_site.admin_view
        return [path("<str:identifier>/drain/", view(self.drain_view), name="jobs_worker_drain")]

    def drain_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Ask for a reason, then drain the worker and go back to its page."""
        self.require_view(request)
        require(request, CONTROLS)
        worker = _found(identifier)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            self._drain(request, worker, form.cleaned_data["reason"])
            return HttpResponseRedirect(worker_address(worker["id"]))
        context = {**self.admin_site.each_context(request), **drain_context(worker)}
        return confirm_page(request, form, context)

    def _drain(self, request: HttpRequest, worker: dict[str, Any], reason: str) -> None:
        actor, origin = staff_actor(request), origin_of(request, reason)
        try:
            drain_worker(worker=worker["id"], actor=actor, origin=origin)
        except DaefError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, told(worker))


def _found(identifier: str) -> dict[str, Any]:
    try:
        return worker_document(worker_number(identifier))
    except NotFound as error:
        raise Http404 from error


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
