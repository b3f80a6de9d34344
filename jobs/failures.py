"""Every exception that can reach a door, as one of DAEF's errors: REST and gRPC agree by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import psycopg
from django.core.exceptions import (
    BadRequest,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf

from access.errors import (
    AccessError,
    AlreadyThere,
    BadCredentials,
    BadField,
    NoSuchToken,
    RateExceeded,
    SuspectBody,
)
from jobs.errors import (
    BodyTooLarge,
    DaefError,
    InternalError,
    InvalidRequest,
    MalformedBody,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RateLimited,
    ScopeMissing,
    StateConflict,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)

RETRY_AFTER_SECONDS: Final = 2
"""What a caller waits while Postgres cannot answer; a restart of it takes 1 to 2 s (measured)."""

PASSING_STATES: Final = {
    "25006": "read_only_sql_transaction",
    "25P02": "in_failed_sql_transaction",
    "25P03": "idle_in_transaction_session_timeout",
}
"""SQLSTATEs that psycopg counts as internal errors, and that the next request need not meet: a
standby, a transaction that broke before, one that was ended for its idleness. Out of disk (53100),
memory (53200) or connections (53300), shutdown and recovery (57P01 to 57P03), time limits (57014,
55P03), deadlocks, and errors in connecting, which have none, are operational errors to psycopg."""

OUT_OF_RANGE: Final = "22003"
"""SQLSTATE numeric_value_out_of_range."""

MISSING_DETAIL: Final = "There is no such object, or it is not yours."


def as_daef_error(error: BaseException) -> DaefError:
    """Return what to tell the caller; InternalError (which says nothing) for the unforeseen."""
    if isinstance(error, DaefError):
        return error
    if isinstance(error, AccessError):
        return _of_access(error)
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if is_passing(error):
        return _unavailable()
    if getattr(error.__cause__, "sqlstate", None) == OUT_OF_RANGE:
        return InvalidRequest("A number is larger than can be stored; use a smaller one.")
    for kinds, make in _BY_KIND:
        if isinstance(error, kinds):
            return make()
    return InternalError()


def is_passing(error: BaseException) -> bool:
    """Whether the database cannot answer for now, through no fault of the request."""
    if isinstance(error, (OperationalError, InterfaceError, psycopg.OperationalError)):
        return True
    return getattr(error.__cause__, "sqlstate", None) in PASSING_STATES


def _of_access(error: AccessError) -> DaefError:
    match error:
        case BadCredentials():
            return Unauthenticated(error.detail)
        case RateExceeded():
            return RateLimited(error.detail, retry_after_seconds=error.retry_after_seconds)
        case BadField():
            return InvalidRequest.field(error.field, error.detail)
        case AlreadyThere():
            return StateConflict(error.detail)
        case NoSuchToken():
            return NotFound(error.detail)
        case SuspectBody():
            return UnsupportedMediaType(error.detail)
    return ScopeMissing(error.detail)


def _of_drf(error: drf.APIException) -> DaefError:
    detail = str(error.detail)
    match error:
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return Unauthenticated("Send the header 'Authorization: Bearer <token>'.")
        case drf.PermissionDenied():
            return ScopeMissing(detail)
        case drf.NotFound():
            return NotFound(MISSING_DETAIL)
        case drf.MethodNotAllowed():
            return MethodNotAllowed(detail)
        case drf.NotAcceptable():
            return NotAcceptable("Answers are JSON; ask for 'Accept: application/json'.")
        case drf.UnsupportedMediaType():
            return UnsupportedMediaType(detail)
        case drf.Throttled():
            return RateLimited(detail, retry_after_seconds=int(getattr(error, "wait", None) or 1))
        case drf.ParseError():
            return MalformedBody(detail)
    return InvalidRequest(detail) if error.status_code < 500 else InternalError()


def _unavailable() -> DaefError:
    return Unavailable(
        "The database cannot answer at the moment; nothing was changed by this request or it "
        "changed as a whole. Ask again, with the same Idempotency-Key when you submit.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


_BY_KIND: Final[tuple[tuple[tuple[type[BaseException], ...], Callable[[], DaefError]], ...]] = (
    ((Http404, ObjectDoesNotExist), lambda: NotFound(MISSING_DETAIL)),
    ((PermissionDenied,), lambda: ScopeMissing("This is not allowed.")),
    ((RequestDataTooBig,), lambda: BodyTooLarge("The body is larger than the limit.")),
    (
        (SuspiciousOperation, BadRequest),
        lambda: InvalidRequest("The request is malformed; check Host, headers and form fields."),
    ),
    (
        (DataError, UnicodeEncodeError),
        lambda: InvalidRequest("A value cannot be stored: leave out NUL and lone surrogates."),
    ),
    ((ConnectionError,), _unavailable),
    ((DatabaseError,), InternalError),
)
