"""Links of the OpenAPI document: where the ids in an answer lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

PLACE: Final = re.compile(r"\{(\w+)\}")


def add_links(schema: dict[str, Any]) -> None:
    """Link what makes or lists objects to every operation on one of them."""
    for path, methods in schema["paths"].items():
        for status, answer, pointer, known in _sources(schema, methods):
            links = dict(_links(schema["paths"], path, pointer, known))
            if links:
                methods[status]["responses"][answer]["links"] = links


def _sources(
    schema: dict[str, Any], methods: dict[str, Any]
) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Yield method, status, where the object is in the answer's body, and its properties."""
    if made := _properties(schema, methods, "post", "201"):
        yield "post", "201", "", frozenset(made)
    listed = _properties(schema, methods, "get", "200").get("items", {})
    if reference := listed.get("items", {}).get("$ref"):
        yield "get", "200", "/items/0", frozenset(_component(schema, reference))


def _properties(
    schema: dict[str, Any], methods: dict[str, Any], method: str, status: str
) -> dict[str, Any]:
    answer = methods.get(method, {}).get("responses", {}).get(status, {})
    described = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return _component(schema, described["$ref"]) if "$ref" in described else {}


def _component(schema: dict[str, Any], reference: str) -> dict[str, Any]:
    found = schema["components"]["schemas"][reference.rpartition("/")[2]]
    properties: dict[str, Any] = found.get("properties", {})
    return properties


def _links(
    paths: dict[str, Any], source: str, pointer: str, known: frozenset[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    own = PLACE.findall(source)
    for path, methods in paths.items():
        places = PLACE.findall(path)
        if not path.startswith(f"{source}/{{") or len(places) != len(own) + 1:
            continue
        key = places[-1] if places[-1] in known else "id"
        if key not in known:
            continue
        parameters = {place: f"$request.path.{place}" for place in own}
        parameters[places[-1]] = f"$response.body#{pointer}/{key}"
        for operation in methods.values():
            name = operation["operationId"]
            yield name, {"operationId": name, "parameters": parameters}
