"""The shapes of what operators are answered; see `jobs.api.shapes`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from audit.chain import HEAD_TEXT
from audit.events import Action, Door, Result
from audit.integrity import Tampering
from jobs.api.job_shapes import Page, Shape, TaskError
from jobs.api.words import (
    Count,
    JobId,
    Moment,
    PolicyName,
    Seconds,
    Sha256,
    TaskId,
    TenantName,
    Uid,
)
from jobs.planner.declarations import EndpointSettings, PoolSettings, TenantSettings
from jobs.planner.requeue import Fingerprint
from jobs.policies.policy import PolicySpec
from jobs.states import SkipReason

FleetState = Literal["Active", "Draining", "Lost", "Gone"]
"""The stored states, and `Lost`, which is judged when it is looked at."""

Position = Annotated[int, Meta(ge=1)]
ChainHead = Annotated[str, Meta(pattern=f"^{HEAD_TEXT.pattern}$")]


class DeadLetter(Shape):
    """A task that waits for a person; its input and result are never shown here."""

    task: TaskId
    job: JobId
    tenant: TenantName
    name: str | None
    kind: str
    model: str | None
    error: TaskError
    fingerprint: Fingerprint
    generation: Count
    attempt: Count
    max_attempts: Count
    buried_at: Moment


class DeadLetterList(Page):
    """A page of dead letters, newest first."""

    items: list[DeadLetter]


class TenantCount(Shape):
    """How many of a cause's dead letters are a tenant's."""

    tenant: TenantName
    count: Count


class DeadLetterCause(Shape):
    """Dead letters of one cause: `message` without numbers, ids and quoted words.

    `tenants` are the twenty with the most of them; `first` and `last` when they were buried.
    """

    code: str
    fingerprint: Fingerprint
    message: str
    count: Count
    jobs: Count
    tenants: list[TenantCount]
    first: Moment
    last: Moment
    advice: str


class DeadLetterCauseList(Page):
    """A page of causes, those with the most dead letters first."""

    items: list[DeadLetterCause]


class SkippedTask(Shape):
    """A task that a requeue leaves as it is, and why."""

    task: TaskId
    reason: SkipReason


class Requeued(Shape):
    """What a requeue did, or with `dry_run` would do; `audit_id` is its entry in the audit log."""

    dry_run: bool
    requested: Count
    requeued: Count
    skipped: list[SkippedTask]
    audit_id: Count


class AuditEntry(Shape):
    """What somebody did; see docs/reference/audit-events.md for each field and for the hash."""

    number: Position
    happened_at: Moment
    action: Action
    result: Result
    actor: str
    door: Door
    tenant: str
    target: str
    reason: str
    address: str
    request_id: str
    details: dict[str, str | int]
    prev_hash: Sha256
    hash: Sha256


class AuditEntryList(Page):
    """A page of the audit log, newest first."""

    items: list[AuditEntry]


class AuditBreach(Shape):
    """Where the chain is broken, and what was done there."""

    entry: int
    kind: Tampering


class AuditStatus(Shape):
    """How the audit log stands; `head` is `N:HASH`, null while the log is empty."""

    entries: Count
    head: ChainHead | None
    verified_through: Count
    verified_at: Moment | None
    broken: AuditBreach | None


class FleetWorker(Shape):
    """An agent: one process start of it."""

    id: Position
    incarnation: Uid
    node: str
    pool: TenantName
    state: FleetState
    slots: Position
    busy: Count
    leases: Count
    oldest_lease_seconds: Seconds | None
    heartbeat_age_seconds: Seconds
    version: str
    kinds: list[str]
    models: list[str]


class FleetWorkerList(Page):
    """A page of workers, by pool and name."""

    items: list[FleetWorker]


class DeclaredPolicy(Shape):
    """A policy with its current revision."""

    name: PolicyName
    revision: Position
    spec: PolicySpec


class DeclaredPolicyList(Page):
    """A page of policies by name."""

    items: list[DeclaredPolicy]


class DeclaredEndpoint(Shape):
    """A model endpoint."""

    name: PolicyName
    spec: EndpointSettings


class DeclaredEndpointList(Page):
    """A page of model endpoints by name."""

    items: list[DeclaredEndpoint]


class DeclaredTenant(Shape):
    """A tenant."""

    name: TenantName
    spec: TenantSettings


class DeclaredTenantList(Page):
    """A page of tenants by name."""

    items: list[DeclaredTenant]


class DeclaredPool(Shape):
    """A pool."""

    name: TenantName
    spec: PoolSettings


class DeclaredPoolList(Page):
    """A page of pools by name."""

    items: list[DeclaredPool]


ANSWERS = (
    DeclaredPolicy,
    DeclaredPolicyList,
    DeclaredEndpoint,
    DeclaredEndpointList,
    DeclaredTenant,
    DeclaredTenantList,
    DeclaredPool,
    DeclaredPoolList,
    DeadLetterList,
    DeadLetterCauseList,
    Requeued,
    AuditEntryList,
    AuditStatus,
    FleetWorker,
    FleetWorkerList,
)
