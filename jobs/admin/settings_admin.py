"""Policies with their revisions, and model endpoints, in the console; read-only."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.urls import reverse

from access.readonly_admin import ReadOnlyAdmin
from jobs.models import ModelEndpoint, Policy

MOST_ROWS: Final = 500
NEWEST_REVISIONS: Final = 20
MICRO_PER_USD: Final = 1_000_000


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    """What jobs may use and spend. A job keeps the revision it was accepted under."""

    plural = "Policies"
    object_page = "console/policy_page.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all policies by name."""
        policies = Policy.objects.select_related("current")[:MOST_ROWS]
        return {
            "heading": self.plural,
            "lead": "What jobs may use and spend. A job keeps the revision it was accepted under.",
            "columns": ("Policy", "Revision", "Since"),
            "rows": [_policy_row(policy) for policy in policies],
            "empty": "There is no policy.",
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one policy with its newest revisions."""
        policy = Policy.objects.filter(name=identifier).first()
        if policy is None:
            raise Http404
        revisions = policy.revisions.order_by("-number")[:NEWEST_REVISIONS]
        return {
            "heading": f"Policy {policy.name}",
            "facts": [],
            "revisions": [
                {
                    "number": revision.number,
                    "created_at": revision.created_at,
                    "current": revision.pk == policy.current_id,
                    "spec": json.dumps(revision.spec, indent=2, ensure_ascii=False),
                }
                for revision in revisions
            ],
        }


@admin.register(ModelEndpoint)
class ModelEndpointAdmin(ReadOnlyAdmin):
    """Where models answer, for what price. Keys stay with the agents and are never shown."""

    plural = "Model endpoints"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all endpoints by name."""
        columns = ("Endpoint", "Backend", "Models", "Input, per M tokens", "Output", "Enabled")
        return {
            "heading": self.plural,
            "lead": "Where models answer, and for what price. Their keys stay with the agents.",
            "columns": columns,
            "rows": [_endpoint_row(endpoint) for endpoint in ModelEndpoint.objects.all()],
            "empty": "There is no model endpoint.",
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one endpoint by its name."""
        found = ModelEndpoint.objects.filter(name=identifier).first()
        if found is None:
            raise Http404
        return {
            "heading": f"Endpoint {found.name}",
            "facts": [
                ("Backend", found.backend),
                ("Address", found.base_url or "inside the agent"),
                ("Models", found.model_names),
                ("Location", found.location),
                ("Input", f"{_price(found.input_price)} per million tokens"),
                ("Output", f"{_price(found.output_price)} per million tokens"),
                ("Time limit", f"{found.timeout_seconds:,} s"),
                ("Calls at once", _limit(found.max_in_flight)),
                ("Calls a minute", _limit(found.requests_per_minute)),
                ("Enabled", found.enabled),
            ],
        }


def _policy_row(policy: Policy) -> tuple[Any, ...]:
    link = {"text": policy.name, "href": reverse("admin:jobs_policy_change", args=[policy.name])}
    current = policy.current
    return (link, current.number, current.created_at) if current else (link, None, None)


def _endpoint_row(endpoint: ModelEndpoint) -> tuple[Any, ...]:
    address = reverse("admin:jobs_modelendpoint_change", args=[endpoint.name])
    return (
        {"text": endpoint.name, "href": address},
        endpoint.backend,
        endpoint.model_names,
        _price(endpoint.input_price),
        _price(endpoint.output_price),
        endpoint.enabled,
    )


def _price(micro_usd: int) -> str:
    return f"${micro_usd / MICRO_PER_USD:,.4f}".rstrip("0").rstrip(".")


def _limit(most: int | None) -> str:
    return "no limit" if most is None else f"{most:,}"
