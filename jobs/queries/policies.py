"""The policies that jobs may run under."""

from __future__ import annotations

from typing import Any

from jobs.models import Policy, PolicyRevision
from jobs.planner.declarations import POLICY_NAME
from jobs.queries.formats import moment, page
from jobs.queries.lookup import missing


def list_policies(*, limit: int, offset: int) -> dict[str, Any]:
    """Return one page of the policies in force, by name."""
    policies = Policy.objects.select_related("current").filter(current__isnull=False)
    rows = [_document(policy) for policy in policies[offset : offset + limit]]
    return page(rows, total=policies.count(), limit=limit, offset=offset)


def policy_document(name: str) -> dict[str, Any]:
    """Return the policy's current revision; NotFound when there is none of that name."""
    if POLICY_NAME.fullmatch(name) is None:
        raise missing()
    found = Policy.objects.select_related("current").filter(name=name, current__isnull=False)
    policy = found.first()
    if policy is None:
        raise missing()
    return _document(policy)


def _document(policy: Policy) -> dict[str, Any]:
    revision = policy.current
    assert isinstance(revision, PolicyRevision)
    return {
        "name": policy.name,
        "revision": revision.number,
        "spec": revision.spec,
        "created_at": moment(revision.created_at),
    }
