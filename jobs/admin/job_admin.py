"""Jobs and their tasks in the console: list, page, report, and the confirm page of each move."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone

from access.actors import SYSTEM
from access.readonly_admin import ReadOnlyAdmin
from jobs.admin import job_list, job_page
from jobs.admin.control import (
    MOVES,
    Move,
    ReasonForm,
    confirm_page,
    origin_of,
    perform,
    require,
    staff_actor,
)
from jobs.admin.dead_letter_admin import REQUEUES
from jobs.errors import DaefError, NotFound
from jobs.models import Job
from jobs.policies.causes import advice
from jobs.queries.jobs import job_document
from jobs.queries.lookup import find_job, task_of
from jobs.queries.rendering.html import render_html
from jobs.queries.report import report_document
from jobs.queries.tasks import task_document
from jobs.states import TaskStatus

SEES_PAYLOADS: Final = "jobs.view_taskinput"
"""The permission to read what jobs were given and what they answered."""

CONTROLS: Final = "jobs.change_job"
SEES_DEAD_LETTERS: Final = "jobs.view_deadletter"

REPORT_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Jobs, newest first, and the page of each."""

    plural = "Jobs"
    list_fragment = "console/jobs.html"
    object_fragment = "console/job.html"
    every_seconds = 5

    def more_urls(self) -> list[URLPattern]:
        """Return the addresses of reports, tasks and moves."""
        view = self.admin_site.admin_view
        return [
            path("<str:identifier>/report/", view(self.report_view), name="jobs_report"),
            path("<str:identifier>/tasks/<int:number>/", view(self.task_view), name="jobs_task"),
            path("<str:identifier>/<slug:name>/", view(self.move_view), name="jobs_move"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the list, or go straight to the job whose id or uid was searched for."""
        self.require_view(request)
        if "q" in request.GET and (wanted := job_list.named_job(request.GET["q"])):
            try:
                return HttpResponseRedirect(job_page.job_address(find_job(wanted, SYSTEM)))
            except NotFound:
                pass
        return super().list_view(request)

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return one page of jobs."""
        wish = job_list.parse_wish(request.GET)
        sought = request.GET.get("q", "").strip()[:100]
        return {
            **job_list.job_page(wish, now=timezone.now()),
            "heading": self.plural,
            "sought": sought,
            # Only the first page changes by itself; elsewhere rows would move under the pointer.
            "every_seconds": 0 if wish.before or sought else self.every_seconds,
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one job's page."""
        job = _found(identifier)
        context = job_page.page_context(
            job,
            request.GET,
            may_control=request.user.has_perm(CONTROLS),
            now=timezone.now(),
        )
        sees = request.user.has_perm(SEES_PAYLOADS)
        polled = 2 if context["open"] else 0
        return {**context, "sees_payloads": sees, "title": str(job), "every_seconds": polled}

    def report_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Answer the job's report, as one file that asks for nothing else."""
        self.require_view(request)
        require(request, SEES_PAYLOADS)
        report = report_document(_found(identifier), now=timezone.now())
        return HttpResponse(render_html(report), headers={"Content-Security-Policy": REPORT_CSP})

    def task_view(self, request: HttpRequest, identifier: str, number: int) -> HttpResponse:
        """Answer one task with its attempts."""
        self.require_view(request)
        job = _found(identifier)
        try:
            key = task_of(job, f"job-{job.pk}-{number}")
            task = task_document(key, private=False)
        except NotFound as error:
            raise Http404 from error
        context = {
            "job": job,
            "job_address": job_page.job_address(job),
            "task": task,
            "events": job_page.task_history(job, key),
            "title": task["id"],
            **_dead(request, task),
            "every_seconds": 0 if task["finished_at"] else self.every_seconds,
        }
        return self.answer(request, "console/poll_page.html", "console/task.html", context)

    def move_view(self, request: HttpRequest, identifier: str, name: str) -> HttpResponse:
        """Ask for a reason, then do one of the moves and go back to the job."""
        self.require_view(request)
        if name not in MOVES:
            raise Http404
        require(request, CONTROLS)
        job, move = _found(identifier), MOVES[name]
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            self._perform(request, job, move, form.cleaned_data["reason"])
            return HttpResponseRedirect(job_page.job_address(job))
        return self._confirm(request, job, move, form)

    def _perform(self, request: HttpRequest, job: Job, move: Move, reason: str) -> None:
        actor, origin = staff_actor(request), origin_of(request, reason)
        try:
            messages.success(request, perform(move, job, actor=actor, origin=origin))
        except DaefError as error:
            messages.error(request, error.detail)

    def _confirm(
        self, request: HttpRequest, job: Job, move: Move, form: ReasonForm
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "job": job_document(job, now=timezone.now()),
            "about": "console/about_job.html",
            "verb": f"{move.verb} {job}",
            "consequence": move.consequence,
            "colour": "D" if move.colour else "p",
            "possible": move.can(job),
            "impossible": "This cannot be done to the job as it is now.",
            "back": job_page.job_address(job),
        }
        return confirm_page(request, form, context)


def _found(identifier: str) -> Job:
    try:
        return find_job(identifier, SYSTEM)
    except NotFound as error:
        raise Http404 from error


def _dead(request: HttpRequest, task: dict[str, Any]) -> dict[str, Any]:
    """What there is to say and to do about a dead letter."""
    if task["status"] != TaskStatus.DEAD_LETTERED:
        return {}
    return {
        "advice": advice(task["error"]["code"]),
        "may_requeue": all(map(request.user.has_perm, (SEES_DEAD_LETTERS, REQUEUES))),
    }
