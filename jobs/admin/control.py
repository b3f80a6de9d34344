"""What staff may do to a job: each move has a confirm page, asks a reason, calls one action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse

from access.actors import METRICS, OPERATOR, Actor
from audit.events import Door, Origin
from audit.models import REASON_CHARACTERS
from jobs.actions import control
from jobs.api.middleware import request_id_of
from jobs.models import Job
from jobs.states import JOB_ENDS, JobStatus, job_name

ACTOR_CHARACTERS: Final = 100
"""As long as a job event's actor may be."""


class ReasonForm(forms.Form):
    """Why something is done; it goes on record, so it has to be said."""

    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        error_messages={
            "required": "Say why: the reason goes on record with your name.",
            "max_length": f"Use at most {REASON_CHARACTERS} characters.",
        },
    )


@dataclass(frozen=True)
class Move:
    """One thing to do: its name in addresses, its words, and when it can be done.

    ``verb`` stands on the button, ``consequence`` above it, ``told`` in the message afterwards;
    ``colour`` is the class of the button that leads to the confirm page.
    """

    name: str
    verb: str
    icon: str
    consequence: str
    told: str
    can: Callable[[Job], bool]
    act: Callable[..., int | None]
    colour: str = ""


def _is_open(job: Job) -> bool:
    return job.status not in JOB_ENDS and job.cancel_requested_at is None


def _can_suspend(job: Job) -> bool:
    return _is_open(job) and job.suspended_at is None


def _can_resume(job: Job) -> bool:
    return _is_open(job) and job.suspended_at is not None


def _can_retry(job: Job) -> bool:
    return job.status in (JobStatus.FAILED, JobStatus.PARTIALLY_SUCCEEDED)


MOVES: Final[dict[str, Move]] = {
    move.name: move
    for move in (
        Move(
            "suspend",
            "Suspend",
            "pause",
            "No new task of it starts. Tasks that run now finish.",
            "is suspended: no new task starts, running ones finish",
            _can_suspend,
            control.suspend_job,
        ),
        Move(
            "resume",
            "Resume",
            "play",
            "Its tasks may be claimed again.",
            "goes on",
            _can_resume,
            control.resume_job,
        ),
        Move(
            "retry",
            "Retry",
            "redo",
            "Its dead-lettered tasks are queued again with all their attempts, and what hung on "
            "them waits for them. The job opens in a new generation.",
            "was opened again",
            _can_retry,
            control.retry_job,
        ),
        Move(
            "cancel",
            "Cancel",
            "x",
            "Tasks that wait are cancelled at once, running ones are stopped. What succeeded "
            "stays. A cancelled job cannot be opened again.",
            "was cancelled; running tasks are being stopped",
            _is_open,
            control.cancel_job,
            "d",
        ),
    )
}


def possible_moves(job: Job) -> list[Move]:
    """Return what can be done to a job as it is."""
    return [move for move in MOVES.values() if move.can(job)]


def perform(move: Move, job: Job, *, actor: Actor, origin: Origin) -> str:
    """Do it and return the message for the person. Raises what the action raises."""
    reopened = move.act(job_id=job.pk, actor=actor, origin=origin)
    tasks = "" if reopened is None else f", {reopened:,} tasks are queued again"
    return f"{job_name(job.pk)} {move.told}{tasks}."


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied, which the page then says, without this permission of Django."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(f"This needs the permission {permission}.")


def confirm_page(
    request: HttpRequest, form: ReasonForm, context: dict[str, Any]
) -> TemplateResponse:
    """Return the page that asks for a reason; 400 where one was sent that will not do.

    The context names the template ``about`` the thing, ``verb`` (with the thing's name, as on the
    button), ``consequence``, the button's ``colour``, whether it is ``possible`` with what is said
    where it is not, and where ``back`` leads.
    """
    status = 400 if form.is_bound else 200
    words = {"title": context["verb"], "heading": f"{context['verb']}?", "carried": {}}
    context = {**words, "form": form, **context}
    return TemplateResponse(request, "console/confirm_page.html", context, status=status)


def staff_actor(request: HttpRequest) -> Actor:
    """Return the staff user as the caller that actions and records name."""
    name = f"user:{request.user.get_username()}"[:ACTOR_CHARACTERS]
    return Actor(name, frozenset({OPERATOR, METRICS}))


def origin_of(request: HttpRequest, reason: str) -> Origin:
    """Return how and why the request came in, for the audit log."""
    address = request.META.get("REMOTE_ADDR", "")
    return Origin(Door.CONSOLE, address, request_id_of(request), reason)
