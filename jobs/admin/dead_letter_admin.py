"""Dead letters in the console: by cause, and opened again through one page that asks a reason."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from access.readonly_admin import ReadOnlyAdmin
from jobs.admin import requeue
from jobs.admin.control import ReasonForm, origin_of, require, staff_actor
from jobs.admin.dead_letter_list import list_page, parse_wish
from jobs.admin.job_page import task_address
from jobs.admin.requeue import Choice
from jobs.errors import ConfirmationRequired, DaefError, RateLimited
from jobs.models import DeadLetter
from jobs.queries.lookup import TASK_NAME

REQUEUES: Final = "jobs.change_deadletter"
"""The permission to open dead letters again."""


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Many dead tasks as few causes; the page of one is its task's."""

    plural = "Dead letters"
    list_fragment = "console/dead_letters.html"
    every_seconds = 10

    def more_urls(self) -> list[URLPattern]:
        """Return the address of the page that requeues."""
        view = self.admin_site.admin_view(self.requeue_view)
        return [path("requeue/", view, name="jobs_deadletter_requeue")]

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return causes, and the tasks of the one that was opened."""
        wish = parse_wish(request.GET)
        return {
            **list_page(wish, now=timezone.now()),
            "may_requeue": request.user.has_perm(REQUEUES),
            # Where tasks are chosen, nothing may undo the choice.
            "every_seconds": 0 if wish.cause or wish.skip else self.every_seconds,
        }

    def object_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Send the name of a dead letter to the page of its task."""
        self.require_view(request)
        known = TASK_NAME.fullmatch(identifier)
        return HttpResponseRedirect(task_address(identifier) if known else self._list_address())

    def requeue_view(self, request: HttpRequest) -> HttpResponse:
        """Try out what was chosen and ask for a reason, then do it."""
        self.require_view(request)
        require(request, REQUEUES)
        if request.method != "POST":
            return HttpResponseRedirect(self._list_address())
        choice = requeue.read_choice(request.POST, now=timezone.now())
        if "confirmed" not in request.POST:
            return self._confirm(request, choice, ReasonForm())
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self._confirm(request, choice, form, status=400)
        return self._perform(request, choice, form)

    def _perform(self, request: HttpRequest, choice: Choice, form: ReasonForm) -> HttpResponse:
        origin = origin_of(request, form.cleaned_data["reason"])
        try:
            answer = requeue.carry_out(
                choice, request.POST, actor=staff_actor(request), origin=origin
            )
        except DaefError as error:
            return self._confirm(request, choice, form, error=error, status=error.http_status)
        return self._page(
            request, "console/requeued_page.html", choice, title="Requeued", answer=answer
        )

    def _confirm(
        self,
        request: HttpRequest,
        choice: Choice,
        form: ReasonForm,
        *,
        error: DaefError | None = None,
        status: int = 200,
    ) -> HttpResponse:
        now = timezone.now()
        trial, refusal = self._try_out(request, choice)
        cause = requeue.cause_of(choice, now=now)
        return self._page(
            request,
            "console/requeue_page.html",
            choice,
            status,
            title="Requeue",
            trial=trial,
            refusal=refusal and _told(refusal),
            error=error and _told(error),
            seconds=error.retry_after_seconds if isinstance(error, RateLimited) else None,
            wrong_token=isinstance(error, ConfirmationRequired),
            form=form,
            cause=cause,
            mended=cause is None or cause["evidence"].mended,
            few=requeue.FEW,
            limits=requeue.limits(trial["requested"] if trial else 0),
            carried=requeue.carried(choice),
            key=requeue.fresh_key(),
            command=requeue.command_line(choice),
        )

    def _try_out(
        self, request: HttpRequest, choice: Choice
    ) -> tuple[dict[str, Any] | None, DaefError | None]:
        if not choice.names:
            return None, None
        actor, origin = staff_actor(request), origin_of(request, "")
        try:
            return requeue.try_out(choice, actor=actor, origin=origin), None
        except DaefError as error:
            return None, error

    def _page(
        self, request: HttpRequest, name: str, choice: Choice, status: int = 200, **context: Any
    ) -> HttpResponse:
        back = self._list_address() + choice.wish.query()
        site = self.admin_site.each_context(request)
        whole = {**site, "choice": choice, "back": back, "requeue_address": request.path, **context}
        return TemplateResponse(request, name, whole, status=status)

    def _list_address(self) -> str:
        return reverse("admin:jobs_deadletter_changelist")


def _told(error: DaefError) -> str:
    """What is wrong, field by field where the error has more to say of them."""
    fields = (f"{each.field}: {each.message}" for each in error.fields)
    return " ".join([error.detail, *(text for text in fields if text not in error.detail)])
