"""Whatever goes wrong behind a door becomes a problem that helps the caller and leaks nothing."""

import json
import logging
from typing import ClassVar

import psycopg
import pytest
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection
from django.db.utils import DatabaseErrorWrapper
from django.http import Http404, HttpResponse
from django.test import RequestFactory, override_settings
from rest_framework import exceptions as drf

from access.errors import BadTenant, NotAllowed, RateExceeded, SuspectBody
from jobs.api.base import ApiView
from jobs.errors import InvalidRequest, Unavailable, catalogue
from jobs.failures import as_daef_error

SECRET = "password=hunter2"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError(SECRET), 503, "unavailable"),
        (InterfaceError(SECRET), 503, "unavailable"),
        (psycopg.OperationalError(SECRET), 503, "unavailable"),
        (ConnectionResetError(SECRET), 503, "unavailable"),
        (DataError(SECRET), 400, "invalid_request"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, SECRET), 400, "invalid_request"),
        (SuspiciousOperation(SECRET), 400, "invalid_request"),
        (RequestDataTooBig(SECRET), 413, "body_too_large"),
        (Http404(SECRET), 404, "not_found"),
        (IntegrityError(SECRET), 500, "internal"),
        (RecursionError(SECRET), 500, "internal"),
        (KeyError(SECRET), 500, "internal"),
        (BadTenant("use a name"), 400, "invalid_request"),
        (NotAllowed("no"), 403, "scope_missing"),
        (SuspectBody("no"), 415, "unsupported_media_type"),
        (RateExceeded("wait", 7), 429, "rate_limited"),
        (drf.NotAuthenticated(), 401, "unauthenticated"),
        (drf.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (drf.NotAcceptable(), 406, "not_acceptable"),
        (drf.Throttled(3), 429, "rate_limited"),
        (drf.ValidationError("no"), 400, "invalid_request"),
        (InvalidRequest.field("a", "b"), 400, "invalid_request"),
    ],
)
def test_each_failure_is_told_by_its_kind(error, status, code):
    told = as_daef_error(error)
    assert (told.http_status, told.code) == (status, code)
    assert SECRET not in told.detail


def test_a_failing_database_says_when_to_come_back():
    told = as_daef_error(OperationalError())
    assert isinstance(told, Unavailable)
    assert told.retry_after_seconds


@pytest.mark.parametrize(
    "state",
    [
        "53100",  # disk_full
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57014",  # query_canceled, by statement_timeout
        "55P03",  # lock_not_available, by lock_timeout
        "40P01",  # deadlock_detected
        "40001",  # serialization_failure
        "08006",  # connection_failure
        "58030",  # io_error
        "25006",  # read_only_sql_transaction
        "25P02",  # in_failed_sql_transaction
        "25P03",  # idle_in_transaction_session_timeout
        None,  # connecting failed
    ],
)
def test_what_the_database_cannot_do_for_now_is_told_with_a_time_to_come_back(state: str | None):
    told = as_daef_error(wrapped_by_django(state))
    assert (told.http_status, told.code) == (503, "unavailable")
    assert told.retry_after_seconds


def wrapped_by_django(state: str | None) -> Exception:
    """What Django raises where psycopg raised an error with this SQLSTATE."""
    kind = psycopg.errors.lookup(state) if state else psycopg.OperationalError
    try:
        with DatabaseErrorWrapper(connection):
            raise kind(SECRET)
    except Exception as error:
        return error


def test_codes_are_stable_words():
    for error in catalogue():
        assert error.code.replace("_", "").isalpha()


class Broken(ApiView):
    scope = "public"
    operations: ClassVar = {}

    def get(self, request):
        """Fail in a way that nobody foresaw."""
        raise ValueError(SECRET)


class Unscoped(ApiView):
    def get(self, request):
        """Serve nobody."""
        return HttpResponse(SECRET)


def ask(view):
    with override_settings(DAEF_API_TOKENS="a-token:operator"):
        return view.as_view()(RequestFactory().get("/v1/x", headers={"host": "localhost"}))


def test_the_unforeseen_is_logged_under_the_requests_id_and_told_to_nobody(caplog):
    with caplog.at_level(logging.ERROR):
        response = ask(Broken)
    document = json.loads(response.content)
    assert (response.status_code, document["code"]) == (500, "internal")
    assert SECRET not in response.content.decode()
    assert document["request_id"] in caplog.text
    assert SECRET in caplog.text


def test_a_view_that_names_no_scope_serves_nobody():
    response = ask(Unscoped)
    assert response.status_code == 403
    assert SECRET not in response.content.decode()
