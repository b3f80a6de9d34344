"""The OpenAPI document, from what views declare and from the structs that parse bodies."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import msgspec
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from jobs.api import operator_shapes, query, shapes
from jobs.api.metric_shapes import Metrics
from jobs.api.operation import Operation
from jobs.api.schema_answers import PROBLEM_ANSWERS, STREAMS, answers_of
from jobs.api.schema_bodies import FORMS, request_schemas
from jobs.api.schema_links import add_links
from jobs.api.words import NAMES, PLACES

REFERENCE: Final = "#/components/schemas/{name}"
ANY_TAG: Final = "\\*"
TAG: Final = '"[!#-+\\-.-~]{0,128}"'
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Idempotency-Key": {
        "description": "Repeats of the request with the same key and body make one job (24 hours).",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    },
    "If-Match": {
        "description": "Change the object only in a state that has one of these ETags.",
        "schema": {"type": "string", "pattern": f"^({ANY_TAG}|{TAG}( *, *{TAG})*)$"},
    },
    "If-None-Match": {
        "description": "`*`: make the object only where there is none.",
        "schema": {"type": "string", "const": "*"},
    },
    "Last-Event-ID": {
        "description": "The id of the last event that was seen; the stream goes on behind it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    "X-DAEF-Confirm": {
        "description": "The token of DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN, for many tasks at once.",
        "schema": {"type": "string"},
    },
}
"""Request headers that operations read, beside those of HTTP itself and `X-Request-Id`."""


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
        public = view.scope == "public"
        description: dict[str, Any] = {
            "operationId": _operation_id(path, method),
            "summary": operation.summary,
            "description": (type(view).__doc__ or "").strip(),
            "tags": [_tag(path)],
            "parameters": [*_places(path), *_query(operation.query)],
            "responses": answers_of(operation, public=public),
            "x-daef-scope": view.scope,
            "security": [] if public else [{"bearer": []}],
        }
        description["parameters"] += [_header(name) for name in operation.headers]
        if operation.body_types:
            description["requestBody"] = _body(operation)
        return description


class DaefGenerator(SchemaGenerator):
    """Adds the components that views refer to by name, and the links between operations."""

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        """Return the whole document."""
        schema = super().get_schema(request=request, public=public)  # type: ignore[no-untyped-call]
        components = schema.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **component_schemas()}
        components["responses"] = PROBLEM_ANSWERS
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        add_links(schema)
        return schema


def component_schemas() -> dict[str, Any]:
    """Return the JSON schemas of all bodies and answers."""
    types = (*shapes.ANSWERS, *operator_shapes.ANSWERS, Metrics)
    _, answers = msgspec.json.schema_components(types, ref_template=REFERENCE)
    return dict(sorted({**answers, **STREAMS, **FORMS, **request_schemas()}.items()))


def _open_the_door(schema: dict[str, Any]) -> None:
    """Say that no token is needed: without any configured the API is open on loopback."""
    del schema["components"]["securitySchemes"]
    for methods in schema["paths"].values():
        for operation in methods.values():
            operation["security"] = []


def _tag(path: str) -> str:
    return path.split("/")[2] if path.startswith("/v1/") else "health"


def _operation_id(path: str, method: str) -> str:
    words = [word.strip("{}.") for word in path.replace(".", "_").removeprefix("/v1").split("/")]
    return "_".join([method.lower(), *(word for word in words if word)])


def _places(path: str) -> list[dict[str, Any]]:
    return [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _place(before, part[1:-1])}
        for before, part in pairwise(path.split("/"))
        if part.startswith("{")
    ]


def _place(before: str, name: str) -> dict[str, Any]:
    known = NAMES.get(before) if name == "name" else PLACES.get(name)
    return known or {"type": "string", "minLength": 1}


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
        case query.Text(most, _, pattern):
            return {"type": "string", "maxLength": most, "pattern": f"^{pattern}$"}
    return {"type": "string"}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, **HEADERS[name]}


def _body(operation: Operation) -> dict[str, Any]:
    return {
        "required": not operation.body_optional,
        "content": {
            media_type: _content(operation, media_type) for media_type in operation.body_types
        },
    }


def _content(operation: Operation, media_type: str) -> dict[str, Any]:
    if media_type.startswith("multipart/"):
        return {
            "schema": {"$ref": REFERENCE.format(name=operation.form)},
            "encoding": {"file": {"contentType": "application/x-ndjson, text/csv"}},
        }
    if operation.body:
        examples = {name: {"value": value} for name, value in operation.examples.items()}
        shown = {"examples": examples} if examples else {}
        return {"schema": {"$ref": REFERENCE.format(name=operation.body)}, **shown}
    # Without a type: what is in a file is no JSON value, it is only never nothing.
    return {"schema": {"minLength": 1}}


def openapi_text(*, door_is_open: bool = False) -> str:
    """Return the OpenAPI document of the whole API as it is kept in the repository.

    With `door_is_open` it says that no token is needed.
    """
    schema = DaefGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    if door_is_open:
        _open_the_door(schema)
    encoded = msgspec.json.encode(schema, order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"
