"""``/v1/admin/queue/dead-letter``: what waits for a person, and opening it again."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from rest_framework.request import Request

from jobs.actions.requeue import requeue_dead_letters
from jobs.actions.requeue_limits import CONFIRM_HEADER
from jobs.api.base import ApiView
from jobs.api.body import JSON_TYPE, json_bytes
from jobs.api.operation import Answer, Operation
from jobs.api.query import PAGE, TENANT, Choice, Moment, Parameter, Text
from jobs.planner.requeue import parse_requeue
from jobs.queries.dead_letters import DeadLetterFilter, list_causes, list_dead_letters

LIST_PROBLEMS: Final = (400, 401, 403, 503)
REQUEUE_PROBLEMS: Final = (400, 401, 403, 409, 413, 415, 422, 428, 429, 503)
CONFIRM_META: Final = "HTTP_" + CONFIRM_HEADER.upper().replace("-", "_")

FILTERS: Final[dict[str, Parameter]] = {
    **PAGE,
    "tenant": TENANT,
    "job": Text(63),
    "kind": Text(63),
    "error_code": Text(63),
    "cause": Text(16),
    "from": Moment(),
    "to": Moment(),
    "group_by": Choice(("cause",)),
}


class DeadLettersView(ApiView):
    """Tasks whose attempts are used up, or that can never succeed, of every tenant.

    `group_by=cause` answers one row per cause instead: error code and message without what
    differs from task to task. `from` is the first moment of death that is meant, `to` the first
    beyond it. Inputs and results are never shown.
    """

    scope = "operator"
    operations: ClassVar = {
        "get": Operation(
            "List dead letters, newest first, or their causes",
            (Answer(shape="DeadLetterList", also=("DeadLetterCauseList",)),),
            FILTERS,
            LIST_PROBLEMS,
        ),
        "post": Operation(
            "Requeue dead letters",
            (
                Answer(
                    shape="Requeued",
                    description="What was opened again, or with `dry_run` would be.",
                    headers=("Idempotent-Replayed",),
                ),
            ),
            problems=REQUEUE_PROBLEMS,
            body="RequeueRequest",
            body_types=(JSON_TYPE,),
            headers=(CONFIRM_HEADER, "Idempotency-Key"),
        ),
    }

    def get(self, request: Request) -> HttpResponse:
        """List dead letters, or their causes."""
        query: dict[str, Any] = dict(self.query)
        grouped = query.pop("group_by") == "cause"
        bounds = {name: query.pop(name) for name in PAGE}
        wanted = DeadLetterFilter(since=query.pop("from"), until=query.pop("to"), **query)
        return self.answer_page((list_causes if grouped else list_dead_letters)(wanted, **bounds))

    def post(self, request: Request) -> HttpResponse:
        """Open dead letters again."""
        done = requeue_dead_letters(
            request=parse_requeue(json_bytes(request)),
            actor=self.actor,
            origin=self.origin,
            # WSGI hands headers over as Latin-1, whatever bytes were sent.
            confirmation=request.META.get(CONFIRM_META, "").encode("latin-1", "replace"),
            idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
        )
        response = HttpResponse(done.answer, content_type="application/json")
        if done.replayed:
            response["Idempotent-Replayed"] = "true"
        return response
