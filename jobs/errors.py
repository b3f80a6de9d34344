"""Every error DAEF tells a caller, one class per thing the caller can do about it.

The class's docstring is the title that users read, ``code`` is its stable name (listed in
``docs/reference/errors.md``), ``http_status`` and ``grpc_status`` say how the doors render it.
Pure: no Django, no I/O.
"""


class FieldError:
    """What is wrong with one field of a request, and what to write instead."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message

    def as_dict(self) -> dict[str, str]:
        """The shape of ``errors[]`` in a problem document."""
        return {"field": self.field, "message": self.message}


class DaefError(Exception):
    """Something went wrong."""

    code = "internal"
    http_status = 500
    grpc_status = "INTERNAL"

    def __init__(
        self,
        detail: str = "",
        *,
        fields: list[FieldError] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.fields = fields or []
        self.retry_after_seconds = retry_after_seconds

    @property
    def title(self) -> str:
        """First line of the class's docstring."""
        return (type(self).__doc__ or "").strip().splitlines()[0]


class InvalidRequest(DaefError):
    """The request has fields that cannot be used."""

    code = "invalid_request"
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"

    @classmethod
    def field(cls, field: str, message: str) -> "InvalidRequest":
        """The error for one wrong field."""
        return cls(f"{field}: {message}", fields=[FieldError(field, message)])


class MalformedBody(InvalidRequest):
    """The body is not JSON that can be read."""

    code = "malformed_body"


class PlanRefused(InvalidRequest):
    """The job cannot be planned as asked."""

    code = "plan_refused"
    http_status = 422


class PolicyDenied(DaefError):
    """The tenant's policy does not allow this."""

    code = "policy_denied"
    http_status = 403
    grpc_status = "PERMISSION_DENIED"


class Unauthenticated(DaefError):
    """A valid token is needed."""

    code = "unauthenticated"
    http_status = 401
    grpc_status = "UNAUTHENTICATED"


class ScopeMissing(DaefError):
    """The token lacks the scope for this."""

    code = "scope_missing"
    http_status = 403
    grpc_status = "PERMISSION_DENIED"


class NotFound(DaefError):
    """There is no such object."""

    code = "not_found"
    http_status = 404
    grpc_status = "NOT_FOUND"


class MethodNotAllowed(DaefError):
    """This address does not take that method."""

    code = "method_not_allowed"
    http_status = 405
    grpc_status = "UNIMPLEMENTED"


class NotAcceptable(DaefError):
    """The answer cannot be given in the asked format."""

    code = "not_acceptable"
    http_status = 406


class StateConflict(DaefError):
    """The object is not in a state that allows this."""

    code = "state_conflict"
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class RequestInFlight(DaefError):
    """A request with the same Idempotency-Key is still being worked on."""

    code = "request_in_flight"
    http_status = 409
    grpc_status = "ABORTED"


class IdempotencyMismatch(DaefError):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_mismatch"
    http_status = 422
    grpc_status = "INVALID_ARGUMENT"


class LengthRequired(DaefError):
    """The body comes without its length."""

    code = "length_required"
    http_status = 411


class BodyTooLarge(DaefError):
    """The body is larger than the limit."""

    code = "body_too_large"
    http_status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class UnsupportedMediaType(DaefError):
    """The body's content type or encoding is not taken."""

    code = "unsupported_media_type"
    http_status = 415


class PreconditionFailed(DaefError):
    """The object is not as the request's condition says."""

    code = "precondition_failed"
    http_status = 412
    grpc_status = "FAILED_PRECONDITION"


class ConfirmationRequired(DaefError):
    """So many tasks at once need a confirmation."""

    code = "confirmation_required"
    http_status = 428
    grpc_status = "FAILED_PRECONDITION"


class RateLimited(DaefError):
    """Too many requests for now."""

    code = "rate_limited"
    http_status = 429
    grpc_status = "RESOURCE_EXHAUSTED"


class Unavailable(DaefError):
    """The fabric cannot answer at the moment."""

    code = "unavailable"
    http_status = 503
    grpc_status = "UNAVAILABLE"


class LeaseNotHeld(DaefError):
    """The worker does not hold this lease (any more)."""

    code = "lease_not_held"
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class InternalError(DaefError):
    """DAEF failed to answer; the request id finds the cause in the log."""


def catalogue() -> list[type[DaefError]]:
    """Every error class, the base aside, for the documentation test."""
    found: list[type[DaefError]] = []
    todo = list(DaefError.__subclasses__())
    while todo:
        error = todo.pop(0)
        found.append(error)
        todo.extend(error.__subclasses__())
    return found
