"""The words for what a job, a task and an attempt can be, and the moves between them.

One table for every layer: the database's CHECK constraints, the API, the console, the metrics
and ``docs/architecture/state-machine.md`` use these names, and a test holds them together.
Pure: no Django, no I/O.
"""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task is. ``Succeeded``, ``DeadLettered`` and ``Cancelled`` are ends."""

    BLOCKED = "Blocked"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    DEAD_LETTERED = "DeadLettered"
    CANCELLED = "Cancelled"


class JobStatus(StrEnum):
    """Where a job is; always a function of its tasks, limits and cancel flag."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class AttemptOutcome(StrEnum):
    """How one lease share of a task ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    RELEASED = "Released"
    LOST = "Lost"
    CANCELLED = "Cancelled"


class WorkerState(StrEnum):
    """What an agent's incarnation is doing."""

    ACTIVE = "Active"
    DRAINING = "Draining"
    GONE = "Gone"


class Reason(StrEnum):
    """Why a job is where it is: the closed list for REST, gRPC, console, metrics and resources."""

    PLANNING = "Planning"
    DEPENDENCY_PENDING = "DependencyPending"
    BACKOFF_PENDING = "BackoffPending"
    WAITING_FOR_WORKERS = "WaitingForWorkers"
    NO_MATCHING_WORKER = "NoMatchingWorker"
    WAITING_FOR_FAIR_SHARE = "WaitingForFairShare"
    HELD_BACK_FOR_PRIORITY = "HeldBackForPriority"
    PARALLELISM_REACHED = "ParallelismReached"
    TENANT_LIMIT_REACHED = "TenantLimitReached"
    RATE_LIMITED = "RateLimited"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    WAITING_FOR_BUDGET = "WaitingForBudget"
    SUSPENDED = "Suspended"
    RUNNING = "Running"
    ALL_SUCCEEDED = "AllSucceeded"
    WITHIN_TOLERANCE = "WithinTolerance"
    FAILURES_EXCEEDED = "FailuresExceeded"
    BUDGET_EXCEEDED = "BudgetExceeded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    DEPENDENCY_FAILED = "DependencyFailed"
    CANCELLED = "Cancelled"


class EventKind(StrEnum):
    """What happened to a job in one transaction."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    SETTLED = "settled"
    LEASE_LOST = "lease_lost"
    RELEASED = "released"
    TIMED_OUT = "timed_out"
    CANCEL_REQUESTED = "cancel_requested"
    TASKS_CANCELLED = "tasks_cancelled"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    RETRIED = "retried"
    ENDED = "ended"


class EdgeKind(StrEnum):
    """What a dependent asks of its parent: success, or merely an end."""

    NEEDS = "needs"
    COLLECTS = "collects"


class SkipReason(StrEnum):
    """Why a requeue leaves a task as it is."""

    NOT_FOUND = "not_found"
    NOT_DEAD_LETTERED = "not_dead_lettered"
    REPEATED = "repeated"
    JOB_CANCELLED = "job_cancelled"
    JOB_ENDING = "job_ending"
    BUDGET_USED_UP = "budget_used_up"
    DEPENDENTS_RUNNING = "dependents_running"
    NEED_FAILED = "need_failed"


TASK_ENDS = frozenset({TaskStatus.SUCCEEDED, TaskStatus.DEAD_LETTERED, TaskStatus.CANCELLED})

JOB_ENDS = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.PARTIALLY_SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}
)

END_REASONS = frozenset(
    {
        Reason.ALL_SUCCEEDED,
        Reason.WITHIN_TOLERANCE,
        Reason.FAILURES_EXCEEDED,
        Reason.BUDGET_EXCEEDED,
        Reason.DEADLINE_EXCEEDED,
        Reason.DEPENDENCY_FAILED,
        Reason.CANCELLED,
    }
)

TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.BLOCKED: frozenset({TaskStatus.QUEUED, TaskStatus.CANCELLED}),
    TaskStatus.QUEUED: frozenset(
        {TaskStatus.RUNNING, TaskStatus.CANCELLED, TaskStatus.DEAD_LETTERED, TaskStatus.BLOCKED}
    ),
    TaskStatus.RUNNING: frozenset(
        {
            TaskStatus.QUEUED,
            TaskStatus.SUCCEEDED,
            TaskStatus.DEAD_LETTERED,
            TaskStatus.CANCELLED,
        }
    ),
    # Only by a retry that opens a new generation of the job.
    TaskStatus.SUCCEEDED: frozenset({TaskStatus.BLOCKED}),
    TaskStatus.DEAD_LETTERED: frozenset({TaskStatus.QUEUED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.BLOCKED}),
}

PRIORITIES: dict[str, int] = {"interactive": 100, "standard": 0, "batch": -50}
"""Priority classes by name; higher values are served first."""

PRIORITY_NAMES: dict[int, str] = {value: name for name, value in PRIORITIES.items()}

TASK_BITS = 20
"""A task's id is ``job << TASK_BITS | n``: one index is key, order within the job and lookup."""

MAX_TASKS = 50_000
"""Most tasks a job may have, spawned ones included; far below the 2**20 that the id allows."""

MAX_PARAMETERS_BYTES = 2**20
"""Largest JSON of a task's parameters: it travels with the task, in one message."""


def task_id(job: int, number: int) -> int:
    """The database id of the job's task with this number (both from 1)."""
    return job << TASK_BITS | number


def split_task_id(identifier: int) -> tuple[int, int]:
    """Back from a task's database id to ``(job, number)``."""
    return identifier >> TASK_BITS, identifier & ((1 << TASK_BITS) - 1)


def job_name(job: int) -> str:
    """What users call the job: ``job-7``."""
    return f"job-{job}"


def task_name(identifier: int) -> str:
    """What users call the task: ``job-7-3``."""
    job, number = split_task_id(identifier)
    return f"job-{job}-{number}"
