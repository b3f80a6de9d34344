"""Tasks of all jobs in the console; the page of one is below its job's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils import timezone

from access.models import Tenant
from access.readonly_admin import ReadOnlyAdmin
from jobs.admin.job_list import MOST_TENANTS, named_job
from jobs.admin.job_page import task_address
from jobs.admin.words import BADGES
from jobs.models import Task
from jobs.queries.lookup import TASK_NAME, task_number
from jobs.queries.task_pages import TaskFilter, newest_tasks
from jobs.states import TaskStatus

PAGE_ROWS: Final = 50
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
FILTERS: Final = ("status", "job", "tenant", "error_code")


@dataclass(frozen=True)
class Wish:
    """What the list is narrowed to; empty strings leave it whole. ``before`` is a task's number."""

    status: str = ""
    job: str = ""
    tenant: str = ""
    error_code: str = ""
    before: int | None = None

    def query(self, **changes: object) -> str:
        """Return the address of the same list with these changes, from its beginning."""
        query = QueryDict(mutable=True)
        for name in (*FILTERS, "before"):
            if value := changes.get(name, getattr(self, name) if name in FILTERS else ""):
                query[name] = str(value)
        return "?" + query.urlencode()

    @property
    def narrowed(self) -> bool:
        """Whether anything was asked for."""
        return any(getattr(self, name) for name in FILTERS)

    def filter(self) -> TaskFilter:
        """Return the filter of the query."""
        return TaskFilter(
            status=self.status or None,
            tenant=self.tenant or None,
            error_code=self.error_code or None,
            job=(named_job(self.job) or self.job) if self.job else None,
        )


def parse_wish(query: QueryDict) -> Wish:
    """Return what the address asks for; an unknown status is as if it had not been said."""
    texts = {name: query.get(name, "").replace("\0", "").strip()[:63] for name in FILTERS}
    before = query.get("before", "")
    return Wish(
        **{**texts, "status": texts["status"] if texts["status"] in set(TaskStatus) else ""},
        before=int(before) if NUMBER.fullmatch(before) else None,
    )


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks, newest first, with their attempts and errors."""

    plural = "Tasks"
    list_fragment = "console/tasks.html"
    every_seconds = 5

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the list, or go straight to the task whose id was searched for."""
        wanted = request.GET.get("job", "").strip().lower()
        if self.has_view_permission(request) and task_number(wanted) is not None:
            return HttpResponseRedirect(task_address(wanted))
        return super().list_view(request)

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return one page of tasks."""
        wish = parse_wish(request.GET)
        page = newest_tasks(wish.filter(), before=wish.before, limit=PAGE_ROWS)
        return {
            "wish": wish,
            "tasks": [{**task, "address": task_address(task["id"])} for task in page.items],
            "looked": page.looked,
            "older": wish.query(before=page.before) if page.before is not None else None,
            "newest": wish.query() if wish.before is not None else None,
            "chips": _chips(wish),
            "tenants": list(Tenant.objects.values_list("name", flat=True)[:MOST_TENANTS]),
            "as_of": timezone.now(),
            "every_seconds": 0 if wish.before is not None else self.every_seconds,
        }

    def object_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Send a task's name to its page."""
        self.require_view(request)
        if TASK_NAME.fullmatch(identifier) is None:
            raise Http404
        return HttpResponseRedirect(task_address(identifier))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may see jobs sees their tasks."""
        return request.user.has_perm("jobs.view_job")


def _chips(wish: Wish) -> list[dict[str, Any]]:
    chips = [("", "All"), *((status.value, BADGES[status].word) for status in TaskStatus)]
    return [
        {"word": word, "address": wish.query(status=value), "chosen": wish.status == value}
        for value, word in chips
    ]
