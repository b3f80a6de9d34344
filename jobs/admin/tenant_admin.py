"""Tenants in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.urls import reverse

from access.models import Tenant
from access.readonly_admin import ReadOnlyAdmin

MOST_ROWS = 500


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    """Who owns jobs, and which share and limit it has."""

    plural = "Tenants"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return all tenants by name."""
        tenants = Tenant.objects.all()[:MOST_ROWS]
        return {
            "heading": self.plural,
            "lead": "Who owns jobs. A tenant is made when it is first named.",
            "columns": ("Tenant", "Weight", "Running at most, in each pool", "Since"),
            "rows": [(_link(tenant), *_facts(tenant), tenant.created_at) for tenant in tenants],
            "empty": "No tenant yet: the first job makes one.",
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one tenant by its name."""
        tenant = Tenant.objects.filter(name=identifier).first()
        if tenant is None:
            raise Http404
        weight, limit = _facts(tenant)
        jobs = reverse("admin:jobs_job_changelist") + f"?tenant={tenant.name}"
        return {
            "heading": tenant.name,
            "facts": [
                ("Weight", f"{weight} (100 is one share)"),
                ("Running at most", f"{limit} tasks in each pool"),
                ("Since", tenant.created_at),
                ("Jobs", {"text": f"jobs of {tenant.name}", "href": jobs}),
            ],
        }


def _link(tenant: Tenant) -> dict[str, str]:
    return {"text": tenant.name, "href": reverse("admin:access_tenant_change", args=[tenant.name])}


def _facts(tenant: Tenant) -> tuple[int, str]:
    limit = tenant.max_running_tasks
    return tenant.weight, "no limit" if limit is None else f"{limit:,}"
