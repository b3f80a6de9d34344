"""The audit log in the console: read, narrowed, exported; nothing here changes it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone

from access.readonly_admin import ReadOnlyAdmin
from audit.models import AuditEntry
from jobs.admin import audit_list
from jobs.api.audit import csv_answer


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, why, and whether the record itself is whole."""

    plural = "Audit log"
    list_fragment = "console/audit.html"
    object_fragment = "console/audit_entry.html"
    every_seconds = 10

    def more_urls(self) -> list[URLPattern]:
        """Return the address of the export."""
        return [path("csv/", self.admin_site.admin_view(self.csv_view), name="audit_csv")]

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return one page of entries."""
        wish = audit_list.parse_wish(request.GET)
        return {
            **audit_list.list_page(wish),
            "as_of": timezone.now(),
            "every_seconds": 0 if wish.before is not None else self.every_seconds,
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one entry."""
        known = audit_list.NUMBER.fullmatch(identifier)
        page = audit_list.entry_page(int(identifier)) if known else None
        if page is None:
            raise Http404
        title = f"Entry {identifier}"
        # An entry never changes: there is nothing to ask for again.
        return {**page, "details": json.loads(page["details"]), "title": title, "every_seconds": 0}

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream all entries of the view as CSV, as ``GET /v1/admin/audit?format=csv`` does."""
        self.require_view(request)
        wish = audit_list.parse_wish(request.GET)
        if wish.wrong:
            return HttpResponse(f"Nobody can read the time in {wish.wrong[0]}.", status=400)
        return csv_answer(wish.filter)
