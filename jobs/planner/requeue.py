"""What ``POST /v1/admin/queue/dead-letter`` takes."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from jobs.errors import InvalidRequest
from jobs.planner.strict_json import parse_as

MOST_TASKS = 10_000
"""The largest batch that ``DAEF_ADMIN_REQUEUE_MAX_BATCH`` may allow."""

REASON_CHARACTERS = 500

TaskName = Annotated[str, Meta(pattern=r"^job-[1-9][0-9]{0,12}-[1-9][0-9]{0,6}(?!\n)$")]
JobName = Annotated[str, Meta(min_length=1, max_length=100)]
Fingerprint = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]


class TaskReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task with its job, by ``job-1`` or by uid."""

    job_id: JobName
    task_id: TaskName


class RequeueRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dead letters to open again: by name, or the oldest ones of a cause up to the cap."""

    tasks: Annotated[list[TaskName | TaskReference], Meta(min_length=1, max_length=MOST_TASKS)] | (
        None
    ) = None
    cause: Fingerprint | None = None
    dry_run: bool = False
    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS)] = ""


def parse_requeue(body: bytes) -> RequeueRequest:
    """Read a body. Raises MalformedBody or InvalidRequest naming the field."""
    request: RequeueRequest = parse_as(body, RequeueRequest)
    if (request.tasks is None) == (request.cause is None):
        raise InvalidRequest.field("tasks", "give either tasks or cause")
    return request


def request_sha256(request: RequeueRequest) -> str:
    """Return the hash of a request; its JSON's order and spacing make no difference."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()
