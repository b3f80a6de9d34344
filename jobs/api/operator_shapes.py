"""The shapes of what operators are answered; see `jobs.api.shapes`."""

from __future__ import annotations

from jobs.api.shapes import Shape, TaskError
from jobs.states import SkipReason


class DeadLetter(Shape):
    """A task that waits for a person; its input and result are never shown here."""

    task: str
    job: str
    tenant: str
    name: str | None
    kind: str
    model: str | None
    error: TaskError
    fingerprint: str
    generation: int
    attempt: int
    max_attempts: int
    buried_at: str


class DeadLetterList(Shape):
    """A page of dead letters, newest first."""

    items: list[DeadLetter]
    total: int
    limit: int
    offset: int
    next: str | None


class TenantCount(Shape):
    """How many of a cause's dead letters are a tenant's."""

    tenant: str
    count: int


class DeadLetterCause(Shape):
    """Dead letters of one cause: `message` without numbers, ids and quoted words.

    `tenants` are the twenty with the most of them; `first` and `last` when they were buried.
    """

    code: str
    fingerprint: str
    message: str
    count: int
    jobs: int
    tenants: list[TenantCount]
    first: str
    last: str
    advice: str


class DeadLetterCauseList(Shape):
    """A page of causes, those with the most dead letters first."""

    items: list[DeadLetterCause]
    total: int
    limit: int
    offset: int
    next: str | None


class SkippedTask(Shape):
    """A task that a requeue leaves as it is, and why."""

    task: str
    reason: SkipReason


class Requeued(Shape):
    """What a requeue did, or with `dry_run` would do; `audit_id` is its entry in the audit log."""

    dry_run: bool
    requested: int
    requeued: int
    skipped: list[SkippedTask]
    audit_id: int


ANSWERS = (DeadLetterList, DeadLetterCauseList, Requeued)
