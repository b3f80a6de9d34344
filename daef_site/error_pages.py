"""What the gateway answers where no view did: console pages, elsewhere problem documents."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from jobs.api import problems

MISSING = "There is no such page, or you may not see what it shows."
REFUSED = "Your account may not do this."


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say which permission is missing."""
    if not _in_console(request):
        return problems.permission_denied(request, exception)
    return _page(request, str(exception) or REFUSED, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say the same for what never was and for what is not shown."""
    if not _in_console(request):
        return problems.not_found(request, exception)
    return _page(request, MISSING, 404)


def _in_console(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/")


def _page(request: HttpRequest, text: str, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Not here", "text": text}
    response = render(request, "console/error_page.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response
