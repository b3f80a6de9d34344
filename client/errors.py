"""What can go wrong, one class per thing the caller can do about it.

Errors of the fabric are read from its ``application/problem+json`` answers and keep the fields
that are wrong, each with its remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """Base of everything this package raises on purpose; the message is made for people."""


class Usage(ClientError):
    """A setting, an argument or a file on this side cannot be used; nothing was sent."""


class Unreachable(ClientError):
    """No answer came: wrong address, fabric not running, or the connection broke for too long."""


@dataclass(frozen=True)
class WrongField:
    """One field of a request that was refused, and what to write instead."""

    field: str
    message: str


class ApiError(ClientError):
    """The fabric refused a request.

    ``status`` is the HTTP status, ``code`` the stable name from the fabric's list of errors (empty
    where something else answered), ``request_id`` finds the request in the fabric's log,
    ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str = "",
        fields: tuple[WrongField, ...] = (),
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.fields = fields
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        wrong = [f"{one.field}: {one.message}" for one in self.fields]
        untold = [line for line in wrong if line not in self.detail]
        return "\n".join([self.detail, *(f"  {line}" for line in untold)])


class InvalidRequest(ApiError):
    """The request cannot be used as it is: correct the fields that it names."""


class NotAllowed(ApiError):
    """The token is missing, unknown, or lacks the scope; or a policy forbids this."""


class NotFound(ApiError):
    """There is no such object, or it is another tenant's."""


class Conflict(ApiError):
    """The object is in a state that does not allow this now."""


class RateLimited(ApiError):
    """Too many requests; ``retry_after`` says when to come back."""


class ServerFailed(ApiError):
    """The fabric could not answer; ``request_id`` finds the cause in its log."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    428: Conflict,
    429: RateLimited,
}


def api_error(
    status: int, problem: dict[str, Any], *, request_id: str = "", retry_after: float | None = None
) -> ApiError:
    """The error of an answer: ``problem`` is its parsed problem document, or {} without one."""
    kind = _BY_STATUS.get(status) or (ServerFailed if status >= 500 else InvalidRequest)
    return kind(
        str(problem.get("detail") or problem.get("title") or f"HTTP status {status}"),
        status=status,
        code=str(problem.get("code") or ""),
        fields=_wrong_fields(problem.get("errors")),
        request_id=str(problem.get("request_id") or request_id),
        retry_after=retry_after,
    )


def _wrong_fields(errors: Any) -> tuple[WrongField, ...]:
    listed = errors if isinstance(errors, list) else []
    return tuple(
        WrongField(str(one.get("field", "")), str(one.get("message", "")))
        for one in listed
        if isinstance(one, dict)
    )
