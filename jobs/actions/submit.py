"""Accept a job: admission, plan, one durable transaction, a wake-up for the agents."""

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from access.actors import Actor
from faultpoints import reach
from jobs.actions import idempotency
from jobs.actions.premises import Premises
from jobs.actions.transactions import in_transaction
from jobs.errors import FieldError, InvalidRequest, StateConflict
from jobs.models import IdempotencyRecord, Job, Policy, PolicyRevision, Pool
from jobs.planner import plan_job
from jobs.planner.plan import Plan
from jobs.planner.request import Document, JobRequest
from jobs.policies.admission import Limits, admit
from jobs.states import JobStatus, Reason
from jobs.transitions import submission
from jobs.transitions.submission import JobRow, StoredRow
from queueing import tickets


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a request: its job, and how many live workers could run it."""

    job_id: int
    replayed: bool
    live_workers: int = 0
    job: Job | None = None
    """The new job as it was stored, with its plan; None for an earlier one."""
    plan: Plan | None = None


def plan_request(
    *, request: JobRequest, documents: Sequence[Document], premises: Premises
) -> tuple[Plan, Limits, PolicyRevision]:
    """Admit and plan a request without writing anything.

    Raises PolicyDenied, PlanRefused or InvalidRequest, each naming the field, and StateConflict
    when the plan is no longer the one of ``plan_hash``.
    """
    revision, spec = premises.revision, premises.policy
    if revision is None or spec is None:
        raise _unknown_policy(request.policy)
    limits = admit(request, spec, default_max_attempts=settings.DAEF_MAX_ATTEMPTS)
    plan = plan_job(
        request,
        policy=spec,
        endpoints=premises.endpoints,
        documents=documents,
        test_kinds=settings.DAEF_TEST_KINDS,
    )
    if request.plan_hash is not None and request.plan_hash != plan.hash:
        text = f"the plan is now {plan.hash}; look at it with ?dry_run=true and send its hash"
        raise StateConflict(f"plan_hash: {text}", fields=[FieldError("plan_hash", text)])
    return plan, limits, revision


def _unknown_policy(name: str) -> InvalidRequest:
    known = ", ".join(Policy.objects.values_list("name", flat=True)) or "none"
    return InvalidRequest.field("policy", f"there is no policy {name!r}; known are: {known}")


def submit_job(
    *,
    request: JobRequest,
    documents: Sequence[Document],
    premises: Premises,
    actor: Actor,
    idempotency_key: str | None,
    request_sha256: str,
) -> Submission:
    """Store a job and wake its pool's agents; returns after the commit has reached the disk.

    The premises name a tenant that is there.

    Raises PolicyDenied, PlanRefused, InvalidRequest, StateConflict, IdempotencyMismatch or
    RequestInFlight.
    """
    assert premises.tenant is not None
    key, tenant = idempotency_key, premises.tenant
    if key and (earlier := _recorded(tenant.pk, key, request_sha256)):
        return Submission(earlier, replayed=True)
    plan, limits, revision = plan_request(request=request, documents=documents, premises=premises)
    reach("gateway.after_validate")
    pool = premises.pool or Pool.objects.get_or_create(name=limits.pool)[0]
    owners = {"tenant": tenant, "pool": pool, "policy_revision": revision}
    row = _job_row(request, len(documents), plan, limits, owners, actor)
    stored = _store(row, plan, premises.capabilities, key, request_sha256)
    reach("gateway.after_commit_before_reply")
    if isinstance(stored, int):
        return Submission(stored, replayed=True)
    tickets.ring(pool.name)
    job = _as_stored(row, stored, owners)
    return Submission(stored.id, False, premises.live_workers, job, plan)


@in_transaction
def _store(
    row: JobRow,
    plan: Plan,
    known: Mapping[tuple[str, str], int],
    key: str | None,
    request_sha256: str,
) -> StoredRow | int:
    """What the new job got, or the number of the one that its key has made before."""
    if key:
        idempotency.hold_key(str(row.tenant), key)
        if earlier := _recorded(row.tenant, key, request_sha256):
            return earlier
    wanted = {(task.kind, task.model) for task in plan.tasks}
    capabilities = known if wanted <= known.keys() else submission.intern_capabilities(wanted)
    stored = submission.insert_job(row, plan, capabilities)
    if key:
        submission.remember_answer(
            tenant=row.tenant, key=key, request_sha256=request_sha256, job=stored.id
        )
    reach("gateway.after_insert_before_commit")
    return stored


def _recorded(tenant: int, key: str, request_sha256: str) -> int | None:
    record = IdempotencyRecord.objects.filter(tenant_id=tenant, key=key).first()
    if record is None:
        return None
    idempotency.check_same(record.request_sha256, request_sha256)
    return record.job_id


def _job_row(
    request: JobRequest,
    documents: int,
    plan: Plan,
    limits: Limits,
    owners: Mapping[str, Any],
    actor: Actor,
) -> JobRow:
    return JobRow(
        uid=str(uuid7(time.time_ns() // 1_000_000)),
        tenant=owners["tenant"].pk,
        type=request.type,
        priority=limits.priority,
        policy_revision=owners["policy_revision"].pk,
        pool=owners["pool"].pk,
        labels=json.dumps(request.labels),
        input=request.input or "",
        parameters=json.dumps(request.parameters),
        plan=json.dumps(
            {"hash": plan.hash, "models": list(plan.models), "estimate": asdict(plan.estimate)}
        ),
        documents=documents,
        max_attempts=limits.max_attempts,
        max_parallelism=limits.max_parallelism,
        max_failed_percent=limits.max_failed_percent,
        limit_nano_usd=limits.limit_nano_usd,
        schedule_to_start_seconds=limits.schedule_to_start_seconds,
        start_to_close_seconds=limits.start_to_close_seconds,
        schedule_to_close_seconds=limits.schedule_to_close_seconds,
        deadline_seconds=limits.deadline_seconds,
        reason=Reason.WAITING_FOR_WORKERS,
        actor=actor.name,
        event=json.dumps({"tasks": len(plan.tasks)}),
    )


def _as_stored(row: JobRow, stored: StoredRow, owners: Mapping[str, Any]) -> Job:
    return Job(
        pk=stored.id,
        uid=row.uid,
        **owners,
        type=row.type,
        status=JobStatus.PENDING,
        reason=row.reason,
        priority=row.priority,
        labels=json.loads(row.labels),
        plan=json.loads(row.plan),
        documents=row.documents,
        max_parallelism=row.max_parallelism,
        limit_nano_usd=row.limit_nano_usd,
        deadline_at=stored.deadline_at,
        created_at=stored.created_at,
    )


def uuid7(milliseconds: int) -> uuid.UUID:
    """A UUID that sorts by time (RFC 9562, section 5.7); Python has none before 3.14."""
    value = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
