"""The OpenAPI document, from what views declare and from the structs that parse bodies."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from jobs.api import operator_shapes, query, shapes
from jobs.api.operation import Answer, Operation
from jobs.planner.request import JobRequest
from jobs.planner.requeue import RequeueRequest

PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFERENCE: Final = "#/components/schemas/{name}"
HEADERS: Final[dict[str, str]] = {
    "Idempotency-Key": "Repeats of the request with the same key and body make one job (24 hours).",
    "Last-Event-ID": "The id of the last event that was seen; the stream goes on behind it.",
    "Location": "Where the new object is.",
    "Retry-After": "Seconds to wait.",
    "X-DAEF-Confirm": "The token of DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN, for many tasks at once.",
    "X-Request-Id": "The id under which the server logged the request.",
    "Idempotent-Replayed": "`true` when the answer repeats an earlier one.",
}


class DaefSchema(AutoSchema):
    """Describes an ``ApiView`` by its `operations`."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any
    ) -> dict[str, Any] | None:
        """Return the operation object, or None for a method that was not declared."""
        view: Any = self.view
        operation = view.operations.get(method.lower())
        if operation is None:
            return None
        description: dict[str, Any] = {
            "operationId": _operation_id(path, method),
            "summary": operation.summary,
            "description": (type(view).__doc__ or "").strip(),
            "tags": [path.split("/")[2]],
            "parameters": [*_path_parameters(path), *_query(operation.query)],
            "responses": _responses(operation, public=view.scope == "public"),
            "x-daef-scope": view.scope,
            "security": [] if view.scope == "public" else [{"bearer": []}],
        }
        description["parameters"] += [_header(name) for name in operation.headers]
        if operation.body_types:
            description["requestBody"] = _body(operation)
        return description


class DaefGenerator(SchemaGenerator):
    """Adds the components that views refer to by name."""

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        """Return the whole document."""
        schema = super().get_schema(request=request, public=public)  # type: ignore[no-untyped-call]
        components = schema.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **component_schemas()}
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        return schema


def component_schemas() -> dict[str, Any]:
    """Return the JSON schemas of all bodies and answers."""
    types = (JobRequest, RequeueRequest, *shapes.ANSWERS, *operator_shapes.ANSWERS)
    _, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    return dict(sorted(components.items()))


def _operation_id(path: str, method: str) -> str:
    words = [word.strip("{}.") for word in path.replace(".", "_").split("/")[2:]]
    return "_".join([method.lower(), *(word for word in words if word)])


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _query(parameters: Mapping[str, query.Parameter]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": _query_schema(parameter)}
        for name, parameter in parameters.items()
    ]


def _query_schema(parameter: query.Parameter) -> dict[str, Any]:
    match parameter:
        case query.Number(default, least, most):
            return {"type": "integer", "minimum": least, "maximum": most, "default": default}
        case query.Choice(known, default):
            rest = {} if default is None else {"default": default}
            return {"type": "string", "enum": list(known), **rest}
        case query.Flag(default):
            return {"type": "boolean", "default": default}
        case query.Moment():
            return {"type": "string", "format": "date-time"}
        case query.Text(most):
            return {"type": "string", "minLength": 1, "maxLength": most}
    return {"type": "string"}


def _header(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": HEADERS[name],
        "schema": {"type": "string"},
    }


def _body(operation: Operation) -> dict[str, Any]:
    schema = (
        {"$ref": REFERENCE.format(name=operation.body)}
        if operation.body
        else {"type": "string", "format": "binary"}
    )
    return {
        "required": True,
        "content": {media_type: {"schema": schema} for media_type in operation.body_types},
    }


def _responses(operation: Operation, *, public: bool) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer) for answer in operation.answers}
    problems = {400, 503} if public else {*operation.problems}
    for status in sorted({*problems, 405, 500}):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": PROBLEM,
            "headers": _answer_headers(("Retry-After",) if status in {409, 429, 503} else ()),
        }
    return responses


def _answer(answer: Answer) -> dict[str, Any]:
    schema = _shape(answer)
    described: dict[str, Any] = {
        "description": answer.description or HTTPStatus(answer.status).phrase,
        "headers": _answer_headers(answer.headers),
    }
    if answer.media_types:
        described["content"] = {
            media_type: {"schema": schema if "json" in media_type else {"type": "string"}}
            for media_type in answer.media_types
        }
    return described


def _shape(answer: Answer) -> dict[str, Any]:
    named = [{"$ref": REFERENCE.format(name=name)} for name in (answer.shape, *answer.also) if name]
    if not named:
        return {"type": "string"}
    return named[0] if len(named) == 1 else {"anyOf": named}


def _answer_headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: {"description": HEADERS[name], "schema": {"type": "string"}}
        for name in ("X-Request-Id", *names)
    }


def openapi_text() -> str:
    """Return the OpenAPI document of the whole API as it is kept in the repository."""
    schema = DaefGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    encoded = msgspec.json.encode(schema, order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"
