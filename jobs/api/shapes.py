"""The shapes of answers, for the schema; tests hold every answer against them, field by field."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from jobs.states import AttemptOutcome, JobStatus, Reason, TaskStatus


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """Base: what is not listed is not answered."""


class WrongField(Shape):
    """One field of the request that cannot be used."""

    field: str
    message: str


class Problem(Shape):
    """RFC 9457 problem document; `code` is of the closed list in docs/reference/errors.md."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[WrongField] | UnsetType = UNSET


class Usage(Shape):
    """Tokens."""

    input_tokens: int
    output_tokens: int


class TaskError(Shape):
    """Why a task or attempt failed."""

    code: str
    message: str


class Progress(Shape):
    """Tasks by state; `percent` of those known or planned; `eta_seconds` from 20 ended tasks on."""

    total: int
    blocked: int
    queued: int
    running: int
    succeeded: int
    dead_lettered: int
    cancelled: int
    percent: float
    eta_seconds: float | None


class Stage(Shape):
    """One stage of the plan and its tasks by state."""

    name: str
    total: int
    planned_min: int
    planned_max: int
    blocked: int
    queued: int
    running: int
    succeeded: int
    dead_lettered: int
    cancelled: int


class BudgetState(Shape):
    """Money of a job in US dollars."""

    limit_usd: float | None
    settled_usd: float
    reserved_usd: float
    expected_usd: float | None


class Job(Shape):
    """A job: what was asked, where it stands and why."""

    id: str
    uid: str
    generation: int
    tenant: str
    type: str
    status: JobStatus
    reason: Reason
    message: str
    priority: str
    policy: str
    pool: str
    labels: dict[str, str]
    documents: int
    max_parallelism: int | None
    progress: Progress
    stages: list[Stage]
    usage: Usage
    cost_usd: float
    budget: BudgetState
    plan: dict[str, Any]
    deadline_at: str | None
    as_of: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    live_workers: int | UnsetType = UNSET


class Task(Shape):
    """A task: one unit of a job."""

    id: str
    name: str | None
    kind: str
    stage: str | None
    status: TaskStatus
    generation: int
    attempt: int
    max_attempts: int
    needs: list[str]
    collects: list[str]
    worker: str | None
    model: str | None
    error: TaskError | None
    usage: Usage
    cost_usd: float
    created_at: str
    started_at: str | None
    finished_at: str | None


class Attempt(Shape):
    """One run of a task; `outcome` is null while it runs."""

    number: int
    epoch: int
    generation: int
    worker: str | None
    outcome: AttemptOutcome | None
    error: TaskError | None
    usage: Usage
    cost_usd: float
    started_at: str | None
    finished_at: str | None


class LogLine(Shape):
    """One line that the executor wrote."""

    epoch: int
    at: str
    text: str


class TaskDetail(Task):
    """A task with its attempts; log, input and result for its tenant only."""

    attempts: list[Attempt]
    log: list[LogLine] | UnsetType = UNSET
    input: Any | UnsetType = UNSET
    parameters: Any | UnsetType = UNSET
    result: Any | UnsetType = UNSET
    result_sha256: str | UnsetType | None = UNSET


class JobList(Shape):
    """A page of jobs, newest first."""

    items: list[Job]
    total: int
    limit: int
    offset: int
    next: str | None


class TaskList(Shape):
    """A page of tasks in order."""

    items: list[Task]
    total: int
    limit: int
    offset: int
    next: str | None


class Estimate(Shape):
    """What a plan is expected to take."""

    input_tokens: int
    output_tokens: int
    cost_low_usd: float
    cost_expected_usd: float
    cost_high_usd: float
    seconds_low: float
    seconds_high: float


class PlannedStage(Shape):
    """A stage of a plan."""

    name: str
    planned_min: int
    planned_max: int


class Plan(Shape):
    """The answer of `?dry_run=true`: send `plan_hash` with the job to get exactly this plan."""

    dry_run: bool
    plan_hash: str
    type: str
    tenant: str
    policy: str
    pool: str
    tasks: int
    stages: list[PlannedStage]
    models: list[str]
    estimate: Estimate
    limit_usd: float | None


class Cause(msgspec.Struct):
    """A root cause with its evidence; while the job runs only title, explanation and keywords."""

    title: str
    explanation: str
    keywords: list[str]
    labelled_by: str
    rank: int | UnsetType = UNSET
    documents: int | UnsetType = UNSET
    share: float | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    evidence: list[dict[str, Any]] | UnsetType = UNSET
    document_ids: list[str] | UnsetType = UNSET


class Failure(Shape):
    """A task that was given up."""

    task: str
    code: str
    message: str


class Report(msgspec.Struct):
    """What a job found; types add fields of their own (`causes`, `answer`, `outputs`, …)."""

    job: str
    type: str
    status: JobStatus
    complete: bool
    generated_at: str
    summary: str
    input: str
    documents: int
    plan: dict[str, Any]
    policy: str
    usage: Usage
    cost_usd: float
    budget: BudgetState
    duration_seconds: float
    progress: Progress
    stages: list[Stage]
    failures: list[Failure]
    causes: list[Cause] | UnsetType = UNSET
    unexplained: dict[str, Any] | UnsetType | None = UNSET
    method: dict[str, Any] | UnsetType | None = UNSET
    answer: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    evidence: list[dict[str, Any]] | UnsetType = UNSET


class NamedNumber(Shape):
    """A figure of an explanation."""

    name: str
    value: float


class Help(Shape):
    """A change and what it would do."""

    change: str
    effect: str


class Explanation(Shape):
    """Why a job is where it is, and what would change it."""

    reason: Reason
    message: str
    numbers: list[NamedNumber]
    helps: list[Help]
    helps_not: list[str]
    as_of: str


class File(Shape):
    """An uploaded file."""

    id: str
    name: str
    purpose: str
    media_type: str
    size_bytes: int
    sha256: str
    tenant: str
    created_at: str


class FileList(Shape):
    """A page of files, newest first."""

    items: list[File]
    total: int
    limit: int
    offset: int
    next: str | None


class Policy(Shape):
    """A policy in force."""

    name: str
    revision: int
    spec: dict[str, Any]
    created_at: str


class PolicyList(Shape):
    """A page of policies by name."""

    items: list[Policy]
    total: int
    limit: int
    offset: int
    next: str | None


class Retried(Shape):
    """The job after `retry`, and how many tasks were reopened."""

    job: Job
    reopened: int


ANSWERS = (
    Problem,
    Job,
    JobList,
    Task,
    TaskDetail,
    TaskList,
    Plan,
    Report,
    Explanation,
    File,
    FileList,
    Policy,
    PolicyList,
    Retried,
)
