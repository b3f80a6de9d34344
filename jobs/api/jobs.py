"""``/v1/jobs``: submit, list, look at, and steer jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from access.actors import Actor
from jobs import intake
from jobs.actions import control
from jobs.actions.idempotency import check_key
from jobs.actions.submit import Submission
from jobs.api.base import ApiView, answer, now
from jobs.api.body import json_bytes
from jobs.api.operation import WRITE_PROBLEMS, Answer, Operation
from jobs.api.query import PAGE, PLAIN, TENANT, Choice, Flag, Moment, Parameter, Text
from jobs.api.schema_bodies import EXAMPLES
from jobs.models import Job
from jobs.queries.explain import explain_job, with_reason
from jobs.queries.jobs import JobFilter, job_document, list_jobs, new_job_document
from jobs.queries.lookup import find_job
from jobs.states import PRIORITIES, JobStatus, job_name

TYPES = ("chat", "analyze", "batch", "embed", "pipeline")
SUBMIT_PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
NO_WORKER = (
    "No live agent serves the pool '{pool}' now; the job waits. Start one: python -m workeragent"
)

FILTERS: dict[str, Parameter] = {
    **PAGE,
    "status": Choice(tuple(status.value for status in JobStatus)),
    "type": Choice(TYPES),
    "priority": Choice(tuple(PRIORITIES)),
    "label": Text(
        pattern=PLAIN.replace("^", "^=", 1) + f"{PLAIN}*",
        remedy="use key or key=value, 1 to 255 visible characters",
    ),
    "created_after": Moment(),
    "created_before": Moment(),
    "tenant": TENANT,
}


class JobsView(ApiView):
    """Jobs of the caller's tenants; operators list the metadata of every tenant's jobs.

    A `label` is `key` or `key=value`.
    """

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {
        "get": Operation("List jobs, newest first", (Answer(shape="JobList"),), FILTERS),
        "post": Operation(
            "Submit a job",
            (
                Answer(
                    201,
                    "Job",
                    description="Stored. `live_workers` agents could run it at this moment.",
                    headers=("Location", "Idempotent-Replayed"),
                ),
                Answer(200, "Plan", description="The plan, with `dry_run=true`; nothing stored."),
            ),
            {"dry_run": Flag()},
            SUBMIT_PROBLEMS,
            body="JobRequest",
            body_types=("application/json",),
            headers=("Idempotency-Key",),
            examples=EXAMPLES,
        ),
    }

    def get(self, request: Request) -> HttpResponse:
        """List jobs."""
        query = dict(self.query)
        limit, offset = query.pop("limit"), query.pop("offset")
        label = query.pop("label")
        wanted = JobFilter(**query, label=_label(label) if label else None)
        return self.answer_page(
            list_jobs(self.actor, wanted, limit=limit, offset=offset, now=now())
        )

    def post(self, request: Request) -> HttpResponse:
        """Submit a job, or plan it."""
        body = json_bytes(request)
        key = check_key(request.META.get("HTTP_IDEMPOTENCY_KEY"))
        if self.query["dry_run"]:
            return answer(intake.preview(body, actor=self.actor))
        made = intake.submit(body, actor=self.actor, idempotency_key=key)
        response = answer(_created(made, self.actor), status=201)
        response["Location"] = f"/v1/jobs/{job_name(made.job_id)}"
        if made.replayed:
            response["Idempotent-Replayed"] = "true"
        return response


class JobView(ApiView):
    """One job by `job-N` or uid. `DELETE` cancels it."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {
        "get": Operation("Look at a job", (Answer(shape="Job"),)),
        "delete": Operation("Cancel a job", (Answer(shape="Job"),), problems=WRITE_PROBLEMS),
    }

    def get(self, request: Request, job: str) -> HttpResponse:
        """Answer the job with the reason for where it is."""
        found = find_job(job, self.actor)
        return answer(with_reason(found, job_document(found, now=now())))

    def delete(self, request: Request, job: str) -> HttpResponse:
        """Cancel the job."""
        return _steer(self, job, control.cancel_job)


class ExplainView(ApiView):
    """Why a job is where it is: one reason of the closed list, its figures, what would help."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {
        "get": Operation("Explain a job", (Answer(shape="Explanation"),)),
    }

    def get(self, request: Request, job: str) -> HttpResponse:
        """Answer the explanation."""
        return answer(explain_job(find_job(job, self.actor), now=now()))


class CancelView(ApiView):
    """Ask a job to end; repeated calls change nothing."""

    scope = "tenant"
    operations: ClassVar = {
        "post": Operation("Cancel a job", (Answer(shape="Job"),), problems=WRITE_PROBLEMS),
    }

    def post(self, request: Request, job: str) -> HttpResponse:
        """Cancel the job."""
        return _steer(self, job, control.cancel_job)


class SuspendView(ApiView):
    """Start no more tasks of a job; running ones finish."""

    scope = "tenant"
    operations: ClassVar = {
        "post": Operation("Suspend a job", (Answer(shape="Job"),), problems=WRITE_PROBLEMS),
    }

    def post(self, request: Request, job: str) -> HttpResponse:
        """Suspend the job."""
        return _steer(self, job, control.suspend_job)


class ResumeView(ApiView):
    """Start tasks of a suspended job again."""

    scope = "tenant"
    operations: ClassVar = {
        "post": Operation("Resume a job", (Answer(shape="Job"),), problems=WRITE_PROBLEMS),
    }

    def post(self, request: Request, job: str) -> HttpResponse:
        """Resume the job."""
        return _steer(self, job, control.resume_job)


class RetryView(ApiView):
    """Reopen the job's dead-lettered tasks, and what was cancelled because of them."""

    scope = "tenant"
    operations: ClassVar = {
        "post": Operation("Retry a job", (Answer(shape="Retried"),), problems=WRITE_PROBLEMS),
    }

    def post(self, request: Request, job: str) -> HttpResponse:
        """Retry the job."""
        found = find_job(job, self.actor, private=True)
        reopened = control.retry_job(job_id=found.pk, actor=self.actor, origin=self.origin)
        return answer({"job": _fresh(found, self.actor), "reopened": reopened})


def _steer(view: ApiView, identifier: str, action: Callable[..., None]) -> HttpResponse:
    found = find_job(identifier, view.actor, private=True)
    action(job_id=found.pk, actor=view.actor, origin=view.origin)
    return answer(_fresh(found, view.actor))


def _fresh(job: Job, actor: Actor) -> dict[str, Any]:
    again = find_job(job_name(job.pk), actor, private=True)
    return with_reason(again, job_document(again, now=now()))


def _created(made: Submission, actor: Actor) -> dict[str, Any]:
    if made.job is None or made.plan is None:
        return job_document(find_job(job_name(made.job_id), actor), now=now())
    document = new_job_document(made.job, made.plan)
    document["live_workers"] = made.live_workers
    if not made.live_workers:
        document["message"] = NO_WORKER.format(pool=made.job.pool.name)
    return document


def _label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    return key, value if equals else None
