"""The gRPC door to jobs: the same intake, queries and actions as REST, the same JSON documents."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from django.db import connection
from django.utils import timezone

from access.actors import Actor
from audit.events import Door, Origin
from jobs import intake
from jobs.actions import control
from jobs.errors import InvalidRequest, Unavailable
from jobs.models import Job
from jobs.queries.explain import with_reason
from jobs.queries.jobs import JobFilter, job_document, list_jobs
from jobs.queries.lookup import find_job
from jobs.queries.tasks import list_tasks
from jobs.rpc.doors import peer_address
from jobs.states import JOB_ENDS, JobStatus, TaskStatus, job_name
from proto.daef.v1 import job_pb2, job_pb2_grpc

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
WATCH_SECONDS: Final = 0.5
MAX_WATCHERS: Final = 8
"""Each watcher holds one of the server's threads; agents need the others."""

_watchers = threading.BoundedSemaphore(MAX_WATCHERS)


class JobService(job_pb2_grpc.JobServiceServicer):
    """Serves ``daef.v1.JobService``; the interceptor has set ``context.actor``."""

    def SubmitJob(self, request: Any, context: Any) -> Any:
        """Plan and store a job."""
        actor: Actor = context.actor
        made = intake.submit(
            request.body.encode(),
            actor=actor,
            idempotency_key=request.idempotency_key or None,
        )
        job = find_job(job_name(made.job_id), actor)
        return job_pb2.SubmitJobResponse(job=_job(_document(job)), replayed=made.replayed)

    def GetJob(self, request: Any, context: Any) -> Any:
        """Answer one job."""
        return job_pb2.GetJobResponse(job=_job(_document(find_job(request.id, context.actor))))

    def ListJobs(self, request: Any, context: Any) -> Any:
        """Answer one page of the caller's jobs."""
        limit, offset = _page(request)
        wanted = JobFilter(status=_known(request.status, JobStatus))
        found = list_jobs(context.actor, wanted, limit=limit, offset=offset, now=timezone.now())
        return job_pb2.ListJobsResponse(
            jobs=[_job(item) for item in found["items"]], total=found["total"]
        )

    def ListTasks(self, request: Any, context: Any) -> Any:
        """Answer one page of a job's tasks."""
        limit, offset = _page(request)
        status = _known(request.status, TaskStatus)
        job = find_job(request.job_id, context.actor)
        found = list_tasks(job, status=status, worker=None, limit=limit, offset=offset)
        return job_pb2.ListTasksResponse(
            tasks=[_task(item) for item in found["items"]], total=found["total"]
        )

    def CancelJob(self, request: Any, context: Any) -> Any:
        """Ask a job to end."""
        job = find_job(request.id, context.actor, private=True)
        origin = Origin(Door.GRPC, peer_address(context.peer()))
        control.cancel_job(job_id=job.pk, actor=context.actor, origin=origin)
        again = find_job(job_name(job.pk), context.actor)
        return job_pb2.CancelJobResponse(job=_job(_document(again)))

    def WatchJob(self, request: Any, context: Any) -> Iterator[Any]:
        """Stream the job at each change until it ends or the caller goes."""
        if not _watchers.acquire(blocking=False):
            raise Unavailable(
                f"This process serves {MAX_WATCHERS} watchers already; ask again or use GetJob.",
                retry_after_seconds=5,
            )
        try:
            yield from self._changes(request, context)
        finally:
            _watchers.release()

    def _changes(self, request: Any, context: Any) -> Iterator[Any]:
        seen = ""
        while context.is_active():
            job = find_job(request.id, context.actor)
            document = _document(job)
            # A stream sleeps nearly always: its thread must not keep a connection for that.
            connection.close()
            state = _without_clock(document)
            if state != seen:
                seen = state
                yield job_pb2.WatchJobResponse(job=_job(document))
            if job.status in JOB_ENDS:
                return
            time.sleep(WATCH_SECONDS)


def _document(job: Job) -> dict[str, Any]:
    return with_reason(job, job_document(job, now=timezone.now()))


def _without_clock(document: dict[str, Any]) -> str:
    progress = {**document["progress"], "eta_seconds": None}
    return _json({**document, "as_of": None, "progress": progress})


def _json(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _job(document: dict[str, Any]) -> Any:
    named = {name: document[name] for name in ("id", "uid", "tenant", "type", "status", "reason")}
    return job_pb2.Job(**named, json=_json(document))


def _task(document: dict[str, Any]) -> Any:
    named = {name: document[name] or "" for name in ("id", "name", "kind", "status")}
    return job_pb2.Task(**named, json=_json(document))


def _page(request: Any) -> tuple[int, int]:
    limit = request.limit or DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest.field("limit", f"use a whole number from 1 to {MAX_LIMIT}")
    if request.offset < 0:
        raise InvalidRequest.field("offset", "use 0 or more")
    return limit, request.offset


def _known(status: str, kind: type[JobStatus] | type[TaskStatus]) -> str | None:
    if status and status not in {member.value for member in kind}:
        known = ", ".join(member.value for member in kind)
        raise InvalidRequest.field("status", f"unknown value; known: {known}")
    return status or None
