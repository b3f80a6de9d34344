"""Errors over HTTP: every one is an RFC 9457 problem document, wherever it arose."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from access.authentication import CHALLENGE
from jobs.api.middleware import request_id_of
from jobs.errors import DaefError, InternalError, NotFound, Unavailable
from jobs.failures import MISSING_DETAIL, as_daef_error

MEDIA_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "https://daef.io/errors/"

log = logging.getLogger(__name__)


def problem_document(error: DaefError, request_id: str) -> dict[str, Any]:
    """Return the problem's members; `errors` only where fields are wrong."""
    document: dict[str, Any] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.http_status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.fields:
        document["errors"] = [field.as_dict() for field in error.fields]
    return document


def problem_response(error: DaefError, request: HttpRequest | Request) -> HttpResponse:
    """Render an error for this request, with the headers its status asks for."""
    document = problem_document(error, request_id_of(request))
    response = HttpResponse(
        msgspec.json.encode(document), status=error.http_status, content_type=MEDIA_TYPE
    )
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(error.retry_after_seconds)
    if error.http_status == 401:
        response["WWW-Authenticate"] = CHALLENGE
    response["Cache-Control"] = "no-store"
    return response


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer whatever a view raised; the unforeseen goes to the log with the request's id."""
    request = context["request"]
    told = as_daef_error(error)
    _log(request_id_of(request), told, error)
    response = problem_response(told, request)
    allowed = getattr(context.get("view"), "allowed_methods", None)
    if told.http_status == 405 and allowed:
        response["Allow"] = ", ".join(allowed)
    return response


def _log(request_id: str, told: DaefError, error: Exception) -> None:
    """A refusal of our own needs no line; what stands behind a translated one does."""
    if told is error:
        return
    if isinstance(told, Unavailable):
        # No trace: while the database is away every request ends here, and for the same reason.
        log.warning("request %s: %s: %s", request_id, type(error).__name__, str(error).strip())
    elif isinstance(told, InternalError):
        log.error("request %s failed", request_id, exc_info=error)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return problem_response(NotFound(MISSING_DETAIL), request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400: a Host that is not ours, too many form fields and the like."""
    return _handled(request, exception)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return _handled(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: what was raised outside of our views; Django has logged it."""
    error = sys.exception()
    return problem_response(as_daef_error(error) if error else InternalError(), request)


def _handled(request: HttpRequest, exception: Exception | None) -> HttpResponse:
    told = as_daef_error(exception) if exception else InternalError()
    return problem_response(told, request)
