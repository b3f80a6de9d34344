"""Tenants in the console: who owns jobs, what each may have, has now, and has used today."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.utils import timezone

from access.actors import SYSTEM
from access.models import Tenant
from access.queries import tokens_of
from access.scopes import TENANT_NAME
from jobs.admin import token_admin
from jobs.admin.declared_admin import DeclaredAdmin
from jobs.models import Job
from jobs.planner.declarations import Spec, TenantSettings
from jobs.queries.jobs import job_documents
from jobs.queries.lookup import visible_jobs
from jobs.queries.tenants import policies_of, spent_by_model, tenant_figures, tenant_rows

NEWEST_JOBS = 8


@admin.register(Tenant)
class TenantAdmin(DeclaredAdmin):
    """Who owns jobs, and which share and limit it has."""

    plural = "Tenants"
    kind = "tenants"
    one = "tenant"
    takes_effect = "The next claim goes by it; tasks that run stay."
    start = TenantSettings()
    list_fragment = "console/tenants.html"
    object_fragment = "console/tenant.html"
    every_seconds = 30

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return one page of tenants by name."""
        after = request.GET.get("after", "")
        after = after if TENANT_NAME.fullmatch(after) else ""
        rows, more = tenant_rows(after=after, now=timezone.now())
        return {
            "tenants": rows,
            "after": after,
            "next": rows[-1]["name"] if more else "",
            "cost_usd": sum(row["cost_usd"] for row in rows),
            "may_declare": self.may_declare(request),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one tenant by its name."""
        named = TENANT_NAME.fullmatch(identifier) is not None
        tenant = Tenant.objects.filter(name=identifier).first() if named else None
        if tenant is None:
            raise Http404
        now, user = timezone.now(), request.user
        jobs = visible_jobs(SYSTEM).filter(tenant=tenant).order_by("-id").defer("input")
        sees_tokens = user.has_perm("access.view_apitoken")
        return {
            "title": f"Tenant {tenant.name}",
            "tenant": tenant_figures([tenant], now=now)[0],
            "models": spent_by_model(tenant, now=now),
            "policies": policies_of(tenant),
            "jobs": self._jobs(list(jobs[:NEWEST_JOBS]), request),
            "tokens": tokens_of(tenant.name, now=now) if sees_tokens else [],
            "sees_tokens": sees_tokens,
            "may_declare": self.may_declare(request),
            "may_make_tokens": sees_tokens and user.has_perm(token_admin.MAKES),
        }

    def cautions(self, name: str, before: Spec | None, after: Spec) -> list[str]:
        """Say where more runs now than may from now on."""
        assert isinstance(after, TenantSettings)
        tenant = Tenant.objects.filter(name=name).first()
        if tenant is None or after.max_running_tasks is None:
            return []
        running = tenant_figures([tenant], now=timezone.now())[0]["running"]
        if running <= after.max_running_tasks:
            return []
        return [f"{running:,} of its tasks run now: none is stopped, and none starts before."]

    def _jobs(self, jobs: list[Job], request: HttpRequest) -> list[dict[str, Any]]:
        if not request.user.has_perm("jobs.view_job"):
            return []
        return job_documents(jobs, now=timezone.now())
