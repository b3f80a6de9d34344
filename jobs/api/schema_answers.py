"""Answers in the OpenAPI document: successes as declared, problems by their status."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from jobs.api.middleware import SAFE_ID
from jobs.api.operation import Answer, Operation
from jobs.states import EventKind

ALWAYS: Final = (400, 405, 411, 413, 415, 500, 503)
"""What any address may answer: limits on the request as such, and what goes wrong inside."""

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Allow": {
        "description": "The methods that this address takes.",
        "schema": {"type": "string", "pattern": "^[A-Z]+(, [A-Z]+)*$"},
    },
    "Cache-Control": {
        "description": "Answers are kept out of every cache.",
        "schema": {"type": "string", "const": "no-store"},
    },
    "Content-Disposition": {
        "description": "Browsers keep the answer as a file.",
        "schema": {"type": "string", "pattern": '^attachment; filename="[!-~]+"$'},
    },
    "ETag": {
        "description": "Names this state of the object; send it as `If-Match`.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'},
    },
    "Idempotent-Replayed": {
        "description": "There when the answer repeats an earlier one.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where the new object is.",
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/v1/"},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "The scheme that is expected.",
        "schema": {"type": "string", "pattern": "^Bearer"},
    },
    "X-Request-Id": {
        "description": "The id under which the server logged the request.",
        "schema": {"type": "string", "pattern": f"^{SAFE_ID.pattern}$"},
    },
}
SHAPED: Final = frozenset({"application/json", "text/event-stream"})
"""Media types whose answers have a shape; a stream's is that of each event."""

EVERYWHERE: Final = ("X-Request-Id", "Cache-Control")
PROBLEM_HEADERS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
OPTIONAL: Final = frozenset(
    {(200, "Idempotent-Replayed"), (201, "Idempotent-Replayed"), (409, "Retry-After")}
)
"""Headers that not every answer of their status has; the others are always there."""


def answers_of(operation: Operation, *, public: bool) -> dict[str, Any]:
    """Return the responses object of an operation."""
    responses = {str(answer.status): _success(answer) for answer in operation.answers}
    private = () if public else (401, 403, 429)
    for status in sorted({*operation.problems, *private, *ALWAYS}):
        problem = {"$ref": f"#/components/responses/{problem_name(status)}"}
        responses.setdefault(str(status), problem)
    return responses


def problem_name(status: int) -> str:
    """Return the component's name of the problem with this status."""
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _success(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": answer.description or HTTPStatus(answer.status).phrase,
        "headers": _headers(answer.status, *answer.headers),
    }
    if answer.media_types:
        described["content"] = {
            media_type: {"schema": _schema(answer, media_type)} for media_type in answer.media_types
        }
    return described


def _schema(answer: Answer, media_type: str) -> dict[str, Any]:
    if not answer.shape or media_type not in SHAPED:
        return {"type": "string"}
    named = [{"$ref": f"#/components/schemas/{name}"} for name in (answer.shape, *answer.also)]
    return named[0] if len(named) == 1 else {"anyOf": named}


def _headers(status: int, *names: str) -> dict[str, Any]:
    return {
        name: {**HEADERS[name], "required": (status, name) not in OPTIONAL}
        for name in (*EVERYWHERE, *names)
    }


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
        "headers": _headers(status, *PROBLEM_HEADERS.get(status, ())),
    }


PROBLEM_ANSWERS: Final = {
    problem_name(status): _problem(status)
    for status in (400, 401, 403, 404, 405, 406, 409, 411, 412, 413, 415, 422, 428, 429, 500, 503)
}
"""One component for each status that a problem has."""

STREAMS: Final[dict[str, Any]] = {
    "StreamedEvent": {
        "title": "StreamedEvent",
        "description": "One server-sent event; `end` closes the stream of an ended job.",
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            "event": {"enum": [*sorted(kind.value for kind in EventKind), "end"]},
            "retry": {"type": "integer"},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/JobEvent"},
                        {"$ref": "#/components/schemas/JobEnd"},
                    ]
                },
            },
        },
        "required": ["event", "data"],
        "additionalProperties": False,
    }
}
"""What streams consist of, as their readers see it."""
