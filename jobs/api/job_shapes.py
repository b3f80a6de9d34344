"""The shapes of jobs, tasks and problems in answers."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from jobs.api.words import (
    Address,
    Count,
    ErrorCode,
    JobId,
    Moment,
    PageLimit,
    Percent,
    ProblemStatus,
    ProblemType,
    RequestId,
    Seconds,
    Sha256,
    TaskId,
    TenantName,
    Uid,
    Usd,
)
from jobs.planner.request import JobType, Priority
from jobs.states import AttemptOutcome, EventKind, JobStatus, Reason, TaskStatus


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """Base: what is not listed is not answered."""


class Page(Shape):
    """What every list has beside its `items`; `next` is the address of the page behind it."""

    total: Count
    limit: PageLimit
    offset: Count
    next: Address | None


class WrongField(Shape):
    """One field of the request that cannot be used."""

    field: str
    message: str


class Problem(Shape):
    """RFC 9457 problem document; `code` is of the closed list in docs/reference/errors.md."""

    type: ProblemType
    title: str
    status: ProblemStatus
    detail: str
    code: ErrorCode
    request_id: RequestId
    errors: list[WrongField] | UnsetType = UNSET


class Usage(Shape):
    """Tokens."""

    input_tokens: Count
    output_tokens: Count


class TaskError(Shape):
    """Why a task or attempt failed."""

    code: str
    message: str


class Progress(Shape):
    """Tasks by state; `percent` of those known or planned; `eta_seconds` from 20 ended tasks on."""

    total: Count
    blocked: Count
    queued: Count
    running: Count
    succeeded: Count
    dead_lettered: Count
    cancelled: Count
    percent: Percent
    eta_seconds: Seconds | None


class Stage(Shape):
    """One stage of the plan and its tasks by state."""

    name: str
    total: Count
    planned_min: Count
    planned_max: Count
    blocked: Count
    queued: Count
    running: Count
    succeeded: Count
    dead_lettered: Count
    cancelled: Count


class BudgetState(Shape):
    """Money of a job in US dollars."""

    limit_usd: Usd | None
    settled_usd: Usd
    reserved_usd: Usd
    expected_usd: Usd | None


class Job(Shape):
    """A job: what was asked, where it stands and why."""

    id: JobId
    uid: Uid
    generation: Count
    tenant: TenantName
    type: JobType
    status: JobStatus
    reason: Reason
    message: str
    priority: Priority
    policy: str
    pool: str
    labels: dict[str, str]
    documents: Count
    max_parallelism: int | None
    progress: Progress
    stages: list[Stage]
    usage: Usage
    cost_usd: Usd
    budget: BudgetState
    plan: dict[str, Any]
    deadline_at: Moment | None
    as_of: Moment
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    live_workers: Count | UnsetType = UNSET


class Task(Shape):
    """A task: one unit of a job."""

    id: TaskId
    name: str | None
    kind: str
    stage: str | None
    status: TaskStatus
    generation: Count
    attempt: Count
    max_attempts: Count
    needs: list[TaskId]
    collects: list[TaskId]
    worker: str | None
    model: str | None
    error: TaskError | None
    usage: Usage
    cost_usd: Usd
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None


class Attempt(Shape):
    """One run of a task; `outcome` is null while it runs."""

    number: Count
    epoch: Count
    generation: Count
    worker: str | None
    outcome: AttemptOutcome | None
    error: TaskError | None
    usage: Usage
    cost_usd: Usd
    started_at: Moment | None
    finished_at: Moment | None


class LogLine(Shape):
    """One line that the executor wrote."""

    epoch: Count
    at: Moment
    text: str


class TaskDetail(Task):
    """A task with its attempts; log, input and result for its tenant only."""

    attempts: list[Attempt]
    log: list[LogLine] | UnsetType = UNSET
    input: Any | UnsetType = UNSET
    parameters: Any | UnsetType = UNSET
    result: Any | UnsetType = UNSET
    result_sha256: Sha256 | UnsetType | None = UNSET


class JobEvent(Shape):
    """What one transaction did to a job."""

    id: Count
    kind: EventKind
    at: Moment
    actor: str
    tasks: list[TaskId]
    details: dict[str, Any]


class JobEnd(Shape):
    """How a job ended; empty when the job was deleted meanwhile."""

    status: JobStatus | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
