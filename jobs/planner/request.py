"""What POST /v1/jobs takes, as shapes that validate themselves."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jobs.planner.strict_json import parse_as, parse_json

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1_000_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
JobType = Literal["chat", "analyze", "batch", "embed", "pipeline"]
Priority = Literal["interactive", "standard", "batch"]

MAX_LABELS = 64
MAX_DOCUMENTS = 10_000


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One document to work on; ``id`` is how the report cites it."""

    id: Annotated[str, Meta(min_length=1, max_length=255)]
    text: Text
    metadata: dict[str, Any] = {}


class GivenDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document as a request gives it: without an id it gets ``doc-<position>``."""

    text: Text
    id: Name | None = None
    metadata: dict[str, Any] = {}


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the job may spend, in US dollars."""

    limit_usd: Annotated[float, Meta(gt=0, le=1_000_000)]


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a batch: ``input`` in DAEF's words, or ``body`` in OpenAI's."""

    custom_id: Name
    kind: Annotated[str, Meta(max_length=63)] = "chat"
    input: Any = UNSET
    body: dict[str, Any] | UnsetType = UNSET
    parameters: dict[str, Any] = {}
    model: Annotated[str, Meta(max_length=200)] | None = None


class PipelineTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node of a pipeline; ``needs`` and ``collects`` name other tasks of the job."""

    name: Name
    kind: Annotated[str, Meta(max_length=63)]
    input: Any = None
    parameters: dict[str, Any] = {}
    needs: list[str] = []
    collects: list[str] = []
    model: Annotated[str, Meta(max_length=200)] | None = None


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/jobs."""

    type: JobType
    input: Text | None = None
    documents: Annotated[list[str | GivenDocument], Meta(max_length=MAX_DOCUMENTS)] | None = None
    file_id: Annotated[str, Meta(max_length=100)] | None = None
    requests: Annotated[list[BatchRequest], Meta(max_length=50_000)] | None = None
    tasks: Annotated[list[PipelineTask], Meta(max_length=50_000)] | None = None
    policy: Annotated[str, Meta(max_length=63)] = "enterprise-default"
    priority: Priority = "standard"
    tenant: Annotated[str, Meta(max_length=63)] | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None
    parameters: dict[str, Any] = {}
    budget: Budget | None = None
    max_parallelism: Count | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    max_failed_percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    deadline_seconds: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None
    plan_hash: Annotated[str, Meta(max_length=64)] | None = None
    labels: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=63)], Annotated[str, Meta(max_length=255)]
        ],
        Meta(max_length=MAX_LABELS),
    ] = {}


def parse_job_request(body: bytes) -> JobRequest:
    """Decode a submit body.

    Raises MalformedBody or InvalidRequest; each names the field and what to write instead.
    """
    request: JobRequest = parse_as(body, JobRequest)
    return request


__all__ = [
    "BatchRequest",
    "Budget",
    "Document",
    "GivenDocument",
    "JobRequest",
    "PipelineTask",
    "parse_job_request",
    "parse_json",
]
