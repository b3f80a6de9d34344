"""Accept a job: admission, plan, one durable transaction, a wake-up for the agents."""

import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.conf import settings

from access.actors import Actor
from access.models import Tenant
from faultpoints import reach
from jobs.actions import fleet, idempotency
from jobs.actions.spawning import endpoint_specs
from jobs.actions.transactions import in_transaction
from jobs.errors import FieldError, InvalidRequest, StateConflict
from jobs.models import IdempotencyRecord, Policy, PolicyRevision, Pool
from jobs.planner import plan_job
from jobs.planner.plan import Plan
from jobs.planner.request import Document, JobRequest
from jobs.policies.admission import Limits, admit
from jobs.policies.policy import PolicySpec, parse_policy
from jobs.states import Reason
from jobs.transitions import submission
from jobs.transitions.submission import JobRow
from queueing import tickets


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a request: its job, and how many live workers could run it."""

    job_id: int
    replayed: bool
    live_workers: int


def plan_request(
    *, request: JobRequest, documents: Sequence[Document]
) -> tuple[Plan, Limits, PolicyRevision]:
    """Admit and plan a request without writing anything.

    Raises PolicyDenied, PlanRefused or InvalidRequest, each naming the field, and StateConflict
    when the plan is no longer the one of ``plan_hash``.
    """
    revision = _policy_revision(request.policy)
    spec = _spec(revision)
    limits = admit(request, spec, default_max_attempts=settings.DAEF_MAX_ATTEMPTS)
    plan = plan_job(
        request,
        policy=spec,
        endpoints=endpoint_specs(),
        documents=documents,
        test_kinds=settings.DAEF_TEST_KINDS,
    )
    if request.plan_hash is not None and request.plan_hash != plan.hash:
        text = f"the plan is now {plan.hash}; look at it with ?dry_run=true and send its hash"
        raise StateConflict(f"plan_hash: {text}", fields=[FieldError("plan_hash", text)])
    return plan, limits, revision


def _spec(revision: PolicyRevision) -> PolicySpec:
    return parse_policy(json.dumps(revision.spec))


def _policy_revision(name: str) -> PolicyRevision:
    policy = Policy.objects.select_related("current__policy").filter(name=name).first()
    if policy is None or policy.current is None:
        known = ", ".join(Policy.objects.values_list("name", flat=True)) or "none"
        raise InvalidRequest.field("policy", f"there is no policy {name!r}; known are: {known}")
    return policy.current


def submit_job(
    *,
    request: JobRequest,
    documents: Sequence[Document],
    tenant: Tenant,
    actor: Actor,
    idempotency_key: str | None,
    request_sha256: str,
) -> Submission:
    """Store a job and wake its pool's agents; returns after the commit has reached the disk.

    Raises PolicyDenied, PlanRefused, InvalidRequest, StateConflict, IdempotencyMismatch or
    RequestInFlight.
    """
    if idempotency_key and (earlier := _recorded(tenant.pk, idempotency_key, request_sha256)):
        return Submission(earlier, replayed=True, live_workers=0)
    plan, limits, revision = plan_request(request=request, documents=documents)
    reach("gateway.after_validate")
    pool, _ = Pool.objects.get_or_create(name=limits.pool)
    live = fleet.live_workers(pool.pk, tenant=tenant.pk)
    row = _job_row(request, len(documents), plan, limits, revision, tenant, pool, actor)
    job, replayed = _store(row, plan, idempotency_key, request_sha256)
    reach("gateway.after_commit_before_reply")
    if not replayed:
        tickets.ring(pool.name)
    return Submission(job, replayed=replayed, live_workers=live)


@in_transaction
def _store(row: JobRow, plan: Plan, key: str | None, request_sha256: str) -> tuple[int, bool]:
    if key:
        idempotency.hold_key(str(row.tenant), key)
        if earlier := _recorded(row.tenant, key, request_sha256):
            return earlier, True
    wanted = {(task.kind, task.model) for task in plan.tasks}
    job = submission.insert_job(row, plan, submission.intern_capabilities(wanted))
    if key:
        submission.remember_answer(
            tenant=row.tenant, key=key, request_sha256=request_sha256, job=job
        )
    reach("gateway.after_insert_before_commit")
    return job, False


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
    revision: PolicyRevision,
    tenant: Tenant,
    pool: Pool,
    actor: Actor,
) -> JobRow:
    return JobRow(
        uid=str(uuid7(time.time_ns() // 1_000_000)),
        tenant=tenant.pk,
        type=request.type,
        priority=limits.priority,
        policy_revision=revision.pk,
        pool=pool.pk,
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


def uuid7(milliseconds: int) -> uuid.UUID:
    """A UUID that sorts by time (RFC 9562, section 5.7); Python has none before 3.14."""
    value = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
