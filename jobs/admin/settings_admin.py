"""Policies with their revisions, and model endpoints, in the console."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from jobs.admin.declared_admin import DeclaredAdmin
from jobs.admin.declared_fields import differences, settings_shown
from jobs.models import ModelEndpoint, Policy, PolicyRevision, Pool
from jobs.planner.declarations import EndpointSettings, Spec
from jobs.policies.policy import ENTERPRISE_DEFAULT, PolicySpec, parse_policy
from jobs.queries import catalogue
from jobs.queries.workers import LOST, list_workers

MOST_ROWS: Final = 500
NEWEST_REVISIONS: Final = 20
MICRO_PER_USD: Final = 1_000_000
MOST_NAMED: Final = 3
"""Models that a row names before it says how many more there are."""


@admin.register(Policy)
class PolicyAdmin(DeclaredAdmin):
    """What jobs may use and spend. A job keeps the revision it was accepted under."""

    plural = "Policies"
    kind = "policies"
    one = "policy"
    takes_effect = "Jobs that are submitted from now on go by it; those that are there keep theirs."
    start = ENTERPRISE_DEFAULT
    list_fragment = "console/policies.html"
    object_fragment = "console/policy.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all policies by name."""
        policies = Policy.objects.select_related("current").filter(current__isnull=False)
        jobs = catalogue.open_jobs_by_policy()
        rows = [_policy_row(policy, jobs) for policy in policies[:MOST_ROWS]]
        named = {row["spec"].pool for row in rows}
        return {
            "policies": rows,
            "pools": set(Pool.objects.filter(name__in=named).values_list("name", flat=True)),
            "may_declare": self.may_declare(request),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one policy with its newest revisions."""
        known = self.found(identifier)
        revisions = PolicyRevision.objects.filter(policy__name=identifier).order_by("-number")
        return {
            "title": f"Policy {known.name}",
            "name": known.name,
            "revision": known.revision,
            "settings": settings_shown(self.kind, known.spec),
            "revisions": _revisions(list(revisions[: NEWEST_REVISIONS + 1]), identifier),
            "may_declare": self.may_declare(request),
        }

    def cautions(self, name: str, before: Spec | None, after: Spec) -> list[str]:
        """Name what the policy asks for and is not there, and what no job could use."""
        assert isinstance(after, PolicySpec)
        found = []
        if not Pool.objects.filter(name=after.pool).exists():
            found.append(f"There is no pool {after.pool} yet; jobs wait until an agent makes it.")
        if not (after.types and after.priorities):
            found.append("It allows no job type or no priority: no job can be submitted under it.")
        return found


@admin.register(ModelEndpoint)
class ModelEndpointAdmin(DeclaredAdmin):
    """Where models answer, for what price. Keys stay with the agents and are never shown."""

    plural = "Model endpoints"
    kind = "endpoints"
    one = "endpoint"
    takes_effect = (
        "Plans go by it at once. Agents hear of a new address, key name or model when they "
        "register again: restart them."
    )
    start = EndpointSettings(backend="openai", model_names=[])
    list_fragment = "console/endpoints.html"
    object_fragment = "console/endpoint.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all endpoints by name."""
        endpoints, used = (
            ModelEndpoint.objects.all()[:MOST_ROWS],
            catalogue.used_today(now=timezone.now()),
        )
        return {
            "endpoints": [_endpoint_row(endpoint, used) for endpoint in endpoints],
            "may_declare": self.may_declare(request),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one endpoint by its name."""
        known = self.found(identifier)
        assert isinstance(known.spec, EndpointSettings)
        used = catalogue.used_today(now=timezone.now(), endpoint=known.name)
        return {
            "title": f"Endpoint {known.name}",
            "name": known.name,
            "enabled": known.spec.enabled,
            "settings": settings_shown(self.kind, known.spec),
            "used": used.get(known.name),
            "models": _served(known.spec),
            "may_declare": self.may_declare(request),
        }

    def cautions(self, name: str, before: Spec | None, after: Spec) -> list[str]:
        """Name the models that nobody would serve any more, and a price of nothing."""
        assert isinstance(after, EndpointSettings)
        found = []
        if isinstance(before, EndpointSettings):
            lost = _offered(before) - _offered(after) - _offered_elsewhere(name)
            found += [
                f"No other endpoint serves {model}: jobs that ask for it are refused."
                for model in sorted(lost)
            ]
        if after.backend != "embedded" and not (after.input_price or after.output_price):
            found.append("It costs nothing by these prices: budgets do not limit its use.")
        return found


def _policy_row(policy: Policy, jobs: dict[str, int]) -> dict[str, Any]:
    revision = policy.current
    assert revision is not None
    spec = parse_policy(json.dumps(revision.spec))
    return {
        "name": policy.name,
        "revision": revision.number,
        "since": revision.created_at,
        "spec": spec,
        "open_jobs": jobs.get(policy.name, 0),
    }


def _revisions(rows: list[PolicyRevision], policy: str) -> list[dict[str, Any]]:
    """Each revision with what it changed; the oldest row is there to compare with only."""
    jobs = catalogue.open_jobs_by_revision(policy)
    specs = [parse_policy(json.dumps(row.spec)) for row in rows]
    older: list[PolicySpec | None] = [*specs[1:], None]
    shown = [
        {
            "number": row.number,
            "created_at": row.created_at,
            "open_jobs": jobs.get(row.number, 0),
            "differences": differences("policies", before, spec) if before else [],
            "spec": json.dumps(row.spec, indent=2, ensure_ascii=False),
        }
        for row, spec, before in zip(rows, specs, older, strict=True)
    ]
    return shown[:NEWEST_REVISIONS]


def _endpoint_row(endpoint: ModelEndpoint, used: dict[str, dict[str, Any]]) -> dict[str, Any]:
    names = endpoint.model_names
    return {
        "name": endpoint.name,
        "backend": endpoint.backend,
        "location": endpoint.location,
        "models": names[:MOST_NAMED],
        "more_models": max(0, len(names) - MOST_NAMED),
        "input_price": endpoint.input_price / MICRO_PER_USD,
        "output_price": endpoint.output_price / MICRO_PER_USD,
        "enabled": endpoint.enabled,
        "used": used.get(endpoint.name),
    }


def _served(spec: EndpointSettings) -> list[dict[str, Any]]:
    """Each model with how many live agents say that they reach it."""
    live = [worker for worker in list_workers() if worker["state"] != LOST]
    return [
        {"name": name, "agents": sum(name in worker["model_names"] for worker in live)}
        for name in spec.model_names
    ]


def _offered(spec: EndpointSettings) -> set[str]:
    return set(spec.model_names) if spec.enabled else set()


def _offered_elsewhere(name: str) -> set[str]:
    others = ModelEndpoint.objects.filter(enabled=True).exclude(name=name)
    return {model for names in others.values_list("model_names", flat=True) for model in names}
