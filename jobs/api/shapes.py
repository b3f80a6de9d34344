"""The shapes of answers, for the schema; tests hold every answer against them, field by field."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from jobs.api.job_shapes import (
    BudgetState as BudgetState,
)
from jobs.api.job_shapes import (
    Job as Job,
)
from jobs.api.job_shapes import (
    JobEnd as JobEnd,
)
from jobs.api.job_shapes import (
    JobEvent as JobEvent,
)
from jobs.api.job_shapes import (
    Page as Page,
)
from jobs.api.job_shapes import (
    Problem as Problem,
)
from jobs.api.job_shapes import (
    Progress as Progress,
)
from jobs.api.job_shapes import (
    Shape as Shape,
)
from jobs.api.job_shapes import (
    Stage as Stage,
)
from jobs.api.job_shapes import (
    Task as Task,
)
from jobs.api.job_shapes import (
    TaskDetail as TaskDetail,
)
from jobs.api.job_shapes import (
    Usage as Usage,
)
from jobs.api.upload import FilePurpose, FileType
from jobs.api.words import (
    Count,
    FileId,
    JobId,
    Moment,
    PolicyName,
    Seconds,
    Sha256,
    TaskId,
    TenantName,
    Usd,
)
from jobs.planner.request import JobType
from jobs.states import JobStatus, Reason


class JobList(Page):
    """A page of jobs, newest first."""

    items: list[Job]


class TaskList(Page):
    """A page of tasks in order."""

    items: list[Task]


class Estimate(Shape):
    """What a plan is expected to take."""

    input_tokens: Count
    output_tokens: Count
    cost_low_usd: Usd
    cost_expected_usd: Usd
    cost_high_usd: Usd
    seconds_low: Seconds
    seconds_high: Seconds


class PlannedStage(Shape):
    """A stage of a plan."""

    name: str
    planned_min: Count
    planned_max: Count


class Plan(Shape):
    """The answer of `?dry_run=true`: send `plan_hash` with the job to get exactly this plan."""

    dry_run: bool
    plan_hash: Sha256
    type: JobType
    tenant: TenantName
    policy: str
    pool: str
    tasks: Count
    stages: list[PlannedStage]
    models: list[str]
    estimate: Estimate
    limit_usd: Usd | None


class Cause(msgspec.Struct):
    """A root cause with its evidence; while the job runs only title, explanation and keywords."""

    title: str
    explanation: str
    keywords: list[str]
    labelled_by: str
    rank: Count | UnsetType = UNSET
    documents: Count | UnsetType = UNSET
    share: float | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    evidence: list[dict[str, Any]] | UnsetType = UNSET
    document_ids: list[str] | UnsetType = UNSET


class Failure(Shape):
    """A task that was given up."""

    task: TaskId
    code: str
    message: str


class Report(msgspec.Struct):
    """What a job found; types add fields of their own (`causes`, `answer`, `outputs`, …)."""

    job: JobId
    type: JobType
    status: JobStatus
    complete: bool
    generated_at: Moment
    summary: str
    input: str
    documents: Count
    plan: dict[str, Any]
    policy: str
    usage: Usage
    cost_usd: Usd
    budget: BudgetState
    duration_seconds: Seconds
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
    as_of: Moment


class File(Shape):
    """An uploaded file."""

    id: FileId
    name: str
    purpose: FilePurpose
    media_type: FileType
    size_bytes: Count
    sha256: Sha256
    tenant: TenantName
    created_at: Moment


class FileList(Page):
    """A page of files, newest first."""

    items: list[File]


class Policy(Shape):
    """A policy in force."""

    name: PolicyName
    revision: Count
    spec: dict[str, Any]
    created_at: Moment


class PolicyList(Page):
    """A page of policies by name."""

    items: list[Policy]


class Health(Shape):
    """That the process lives."""

    status: Literal["ok"]
    pid: Count
    version: str


class Readiness(Shape):
    """Whether the process can serve; each check is `ok`, or what is wrong."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, str]


class Retried(Shape):
    """The job after `retry`, and how many tasks were reopened."""

    job: Job
    reopened: Count


ANSWERS = (
    JobEvent,
    JobEnd,
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
    Health,
    Readiness,
)
