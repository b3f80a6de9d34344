"""What the gateway answers where no view did: console pages, elsewhere problem documents."""

from __future__ import annotations

import sys

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from jobs.api import problems
from jobs.failures import RETRY_AFTER_SECONDS, is_passing

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


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that the database is away where it is; everything else is told as a problem."""
    error = sys.exception()
    if error is None or not is_passing(error) or not _in_console(request):
        return problems.server_error(request)
    # Without the request: whoever asks for the session would meet the same error.
    page = render_to_string("console/unavailable_page.html", {"seconds": RETRY_AFTER_SECONDS})
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
    return HttpResponse(page, status=503, headers=headers)


def _in_console(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/")


def _page(request: HttpRequest, text: str, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Not here", "text": text}
    response = render(request, "console/error_page.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response
