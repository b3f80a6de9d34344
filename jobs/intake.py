"""Taking in a job, the same way for every door: parse, tenant, rate, documents, then the action."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from access.actors import Actor
from access.tenants import resolve_tenant, tenant_name
from access.throttles import take_submission
from jobs.actions import premises
from jobs.actions.idempotency import check_key
from jobs.actions.premises import Premises
from jobs.actions.submit import Submission, plan_request, submit_job
from jobs.errors import InvalidRequest
from jobs.planner.documents import numbered
from jobs.planner.request import Document, JobRequest, parse_job_request
from jobs.queries.documents import file_documents
from jobs.queries.formats import usd, usd_or_none


@dataclass(frozen=True)
class Intake:
    """A request that was read: what to do, for whom, on which premises, with which documents."""

    request: JobRequest
    tenant: str
    premises: Premises
    documents: Sequence[Document]


def submit(body: bytes, *, actor: Actor, idempotency_key: str | None) -> Submission:
    """Store the job of a request body. Raises DaefError or AccessError; then nothing is stored."""
    key = check_key(idempotency_key)
    taken = _take_in(body, actor, dry=False)
    fingerprint = _fingerprint(taken.request) if key else ""
    return submit_job(
        request=taken.request,
        documents=taken.documents,
        premises=taken.premises,
        actor=actor,
        idempotency_key=key,
        request_sha256=fingerprint,
    )


def preview(body: bytes, *, actor: Actor) -> dict[str, Any]:
    """Return the plan of a request body in the contract's shape; writes nothing."""
    taken = _take_in(body, actor, dry=True)
    plan, limits, revision = plan_request(
        request=taken.request, documents=taken.documents, premises=taken.premises
    )
    estimate = plan.estimate
    return {
        "dry_run": True,
        "plan_hash": plan.hash,
        "type": taken.request.type,
        "tenant": taken.tenant,
        "policy": str(revision),
        "pool": limits.pool,
        "tasks": len(plan.tasks),
        "stages": [
            {
                "name": stage.name,
                "planned_min": stage.planned_min,
                "planned_max": stage.planned_max,
            }
            for stage in plan.stages
        ],
        "models": list(plan.models),
        "estimate": {
            "input_tokens": estimate.input_tokens,
            "output_tokens": estimate.output_tokens,
            "cost_low_usd": usd(estimate.cost_low_nano_usd),
            "cost_expected_usd": usd(estimate.cost_expected_nano_usd),
            "cost_high_usd": usd(estimate.cost_high_nano_usd),
            "seconds_low": estimate.seconds_low,
            "seconds_high": estimate.seconds_high,
        },
        "limit_usd": usd_or_none(limits.limit_nano_usd),
    }


def _take_in(body: bytes, actor: Actor, *, dry: bool) -> Intake:
    request = parse_job_request(body)
    tenant = tenant_name(request.tenant, actor)
    found = premises.ask(tenant=tenant, policy=request.policy)
    if not dry:
        if found.tenant is None:
            resolve_tenant(request.tenant, actor)
            found = premises.ask(tenant=tenant, policy=request.policy)
        assert found.tenant is not None
        take_submission(found.tenant.pk)
    return Intake(request, tenant, found, _documents(request, tenant, actor))


def _fingerprint(request: JobRequest) -> str:
    """The same request has the same fingerprint, however its JSON is ordered and spaced."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()


def _documents(request: JobRequest, tenant: str, actor: Actor) -> Sequence[Document]:
    if request.file_id is None:
        return numbered(request.documents or ())
    if request.documents:
        raise InvalidRequest.field("file_id", "give either documents or file_id, not both")
    return file_documents(request, tenant, actor)
