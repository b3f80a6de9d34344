"""``/v1/jobs/{job}/tasks``: a job's tasks in order, and one with everything about it."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from jobs.api.base import ApiView, answer
from jobs.api.operation import Answer, Operation
from jobs.api.query import PAGE, Choice, Parameter, Text
from jobs.api.streams import in_pieces
from jobs.queries.artifacts import read_chunks, result_artifact
from jobs.queries.lookup import find_job, task_of
from jobs.queries.tasks import list_tasks, task_document
from jobs.states import TaskStatus

ARTIFACT_TYPES = ("application/octet-stream", "application/json", "application/x-npz")
"""As what a blob is answered: agents name its type, and nothing that a browser would run."""

FILTERS: dict[str, Parameter] = {
    **PAGE,
    "status": Choice(tuple(status.value for status in TaskStatus)),
    "worker": Text(200),
}


class TasksView(ApiView):
    """The tasks of a job in order."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {
        "get": Operation("List a job's tasks", (Answer(shape="TaskList"),), FILTERS),
    }

    def get(self, request: Request, job: str) -> HttpResponse:
        """List tasks."""
        return self.answer_page(list_tasks(find_job(job, self.actor), **self.query))


class TaskView(ApiView):
    """One task with its attempts; its tenant besides sees log lines, input and result."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {"get": Operation("Look at a task", (Answer(shape="TaskDetail"),))}

    def get(self, request: Request, job: str, task: str) -> HttpResponse:
        """Answer the task."""
        found = find_job(job, self.actor)
        private = self.actor.owns(found.tenant.name)
        return answer(task_document(task_of(found, task), private=private))


class TaskArtifactView(ApiView):
    """The blob a task's result is or names: an ``embed`` task's vectors, a very large result."""

    scope = "tenant"
    operations: ClassVar = {
        "get": Operation(
            "Read the artifact of a task's result",
            (Answer(media_types=ARTIFACT_TYPES, headers=("Content-Disposition",)),),
        ),
    }

    def get(self, request: Request, job: str, task: str) -> HttpResponseBase:
        """Stream the blob; one chunk is in memory."""
        found = find_job(job, self.actor, private=True)
        artifact = result_artifact(task_of(found, task))
        known = artifact.media_type in ARTIFACT_TYPES
        response = in_pieces(
            read_chunks(artifact.tenant_id, artifact.sha256),
            artifact.media_type if known else ARTIFACT_TYPES[0],
        )
        response["Content-Length"] = str(artifact.size_bytes)
        response["Content-Disposition"] = f'attachment; filename="{task}-artifact"'
        response["X-Content-Type-Options"] = "nosniff"
        return response
