"""Queues: what waits in the database, which tickets lie in Redis, and RQ's own pages, to read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from jobs.admin.control import require
from jobs.admin.dashboard import queue_lines
from jobs.models import Pool
from jobs.queries.load import queues
from jobs.queries.minutes import last_hour
from queueing import rq_pages, rq_state
from queueing.rq_client import QueueUnavailable

SEES: Final = "jobs.view_pool"
"""The permission to see queues and tickets."""

MOST_POOLS: Final = 200
EVERY_SECONDS: Final = 5
SAFE: Final = ("GET", "HEAD")

REFUSED: Final = (
    "RQ's pages are to be read only: what their buttons do would leave no entry in the audit log. "
    "Requeue dead letters and cancel jobs on the console's own pages."
)
AWAY: Final = "Redis does not answer, so RQ has nothing to show. What waits is under Queues."
MISSING: Final = "There is no such page, or you may not see what it shows."


def queue_urls(site: AdminSite) -> list[URLPattern]:
    """Return the address of the console's own page about queues."""

    def view(request: HttpRequest) -> HttpResponse:
        require(request, SEES)
        context = queue_context()
        if "fragment" in request.GET:
            return TemplateResponse(request, "console/queues.html", context)
        context = {
            **site.each_context(request),
            "title": "Queues",
            "every_seconds": EVERY_SECONDS,
            "fragment": "console/queues.html",
            **context,
        }
        return TemplateResponse(request, "console/poll_page.html", context)

    return [path("queues/", site.admin_view(view), name="queues")]


def queue_context() -> dict[str, Any]:
    """Return what waits in the database and what lies in Redis, as they are now."""
    now = timezone.now()
    waiting = queues()
    names = pool_names()
    context: dict[str, Any] = {"as_of": now, "rows": queue_lines(waiting, last_hour(now=now))}
    try:
        states = rq_state.queue_states(names)
        agents = rq_state.agent_entries()
    except QueueUnavailable:
        return {**context, "redis": False}
    queued: dict[str, int] = {}
    for row in waiting:
        queued[row["pool"]] = queued.get(row["pool"], 0) + row["queued"]
    tickets = [
        {"index": index, "state": state, "queued": queued.get(state.pool, 0)}
        for index, state in enumerate(states)
    ]
    return {**context, "redis": True, "tickets": tickets, "agents": agents}


def pool_names() -> list[str]:
    """Return the pools in the order in which RQ's pages number their queues."""
    return sorted(Pool.objects.order_by("name").values_list("name", flat=True)[:MOST_POOLS])


def rq_urls(site: AdminSite) -> list[URLPattern]:
    """Return RQ's own pages, for who may see queues, to be read only."""

    def wrap(view: Callable[..., HttpResponse], name: str) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            require(request, SEES)
            if request.method not in SAFE:
                return _refusal(site, request, REFUSED, 405)
            if name not in rq_pages.READ:
                return _refusal(site, request, MISSING, 404)
            return _show(site, request, view, *args, **kwargs)

        # What changes nothing needs no token of a form: it is refused all the same.
        guarded.csrf_exempt = True  # type: ignore[attr-defined]
        return site.admin_view(guarded)

    return rq_pages.rq_patterns(wrap)


def _show(
    site: AdminSite, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **kw: Any
) -> HttpResponse:
    try:
        with rq_pages.showing(pool_names()):
            return view(request, *args, **kw)
    except QueueUnavailable:
        return _refusal(site, request, AWAY, 503)
    except rq_pages.NotShown:
        return _refusal(site, request, MISSING, 404)


def _refusal(site: AdminSite, request: HttpRequest, text: str, status: int) -> HttpResponse:
    context = {**site.each_context(request), "title": "Not here", "text": text}
    response = TemplateResponse(request, "console/error_page.html", context, status=status)
    response["Cache-Control"] = "no-store"
    if status == 405:
        response["Allow"] = ", ".join(SAFE)
    return response
