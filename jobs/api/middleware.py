"""What every request passes: an id for log and answer, and limits before a byte of body is read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django_prometheus.middleware import PrometheusAfterMiddleware
from rest_framework.request import Request

from jobs.errors import (
    BodyTooLarge,
    DaefError,
    InvalidRequest,
    LengthRequired,
    UnsupportedMediaType,
)

MAX_BODY_BYTES: Final = 2**20
"""Largest JSON body; larger input goes through /v1/files (contract)."""

MAX_QUERY_CHARACTERS: Final = 8192
SAFE_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}", re.ASCII)
DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)

CHARSETS: Final = frozenset({"utf-8", "us-ascii"})
"""What answers are written in; an uploaded file comes back under the media type it came with."""

Handler = Callable[[HttpRequest], HttpResponseBase]


def request_id_of(request: HttpRequest | Request) -> str:
    """Return the request's id; a new one where the middleware did not run."""
    plain = getattr(request, "_request", request)
    identifier: str = plain.__dict__.setdefault("daef_request_id", uuid.uuid4().hex)
    return identifier


class RequestIdMiddleware:
    """Takes over the caller's ``X-Request-Id`` where it is safe to log, else makes one."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request under its id."""
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        usable = SAFE_ID.fullmatch(given) is not None
        request.__dict__["daef_request_id"] = given if usable else uuid.uuid4().hex
        response = self.get_response(request)
        response["X-Request-Id"] = request_id_of(request)
        return response


class BodyLimitMiddleware:
    """Refuses what is too large or encoded, by its headers alone, below ``/v1/``.

    A view that takes more says so as ``max_body_bytes``.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on; `process_view` looks at it when its view is known."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Answer a problem instead of calling the view, or None to go on."""
        from jobs.api.problems import problem_response  # problems.py reads the id from here

        if not request.path_info.startswith("/v1/"):
            return None
        limit = getattr(getattr(view, "cls", None), "max_body_bytes", MAX_BODY_BYTES)
        error = _refusal(request, limit)
        return problem_response(error, request) if error else None


class CountingMiddleware(PrometheusAfterMiddleware):
    """django-prometheus' counts, their labels from closed sets whatever the request says."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Count the request; one whose length is no number is refused, since it cannot be."""
        from jobs.api.problems import problem_response  # problems.py reads the id from here

        length = request.META.get("CONTENT_LENGTH") or "0"
        if DIGITS.fullmatch(length) is None:
            return problem_response(bad_length(), request)
        super().process_request(request)
        return None

    def label_metric(
        self, metric: Any, request: HttpRequest, response: Any = None, **labels: str
    ) -> Any:
        """Return the metric under these labels."""
        if "method" in labels:
            labels["method"] = self._method(request)
        if labels.get("charset", "utf-8").lower() not in CHARSETS:
            labels["charset"] = "other"
        return super().label_metric(metric, request, response, **labels)


def _refusal(request: HttpRequest, limit: int) -> DaefError | None:
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in {"", "identity"}:
        return UnsupportedMediaType("Content-Encoding is not taken: send the body uncompressed.")
    if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY_CHARACTERS:
        return InvalidRequest(f"The query string is longer than {MAX_QUERY_CHARACTERS} characters.")
    if "HTTP_TRANSFER_ENCODING" in request.META:
        # The server does not tell a chunked body's end from a connection that was cut: half of an
        # upload would be taken for the whole.
        return LengthRequired("Send the body with its Content-Length, not in chunks.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if DIGITS.fullmatch(length) is None:
        return bad_length()
    return body_too_large(limit) if int(length) > limit else None


def bad_length() -> InvalidRequest:
    """Return the error for a Content-Length that is no number."""
    return InvalidRequest.field("Content-Length", "write the body's bytes as a whole number")


def body_too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body beyond `limit` bytes, with the way round it."""
    remedy = "" if limit > MAX_BODY_BYTES else "; upload larger input to /v1/files, use file_id"
    return BodyTooLarge(f"The body is larger than {limit} bytes{remedy}.")
