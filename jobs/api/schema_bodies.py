"""Request bodies in the OpenAPI document: the submit body by its type, and forms."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

import msgspec

from access.scopes import TENANT_NAME
from jobs.api.upload import FilePurpose
from jobs.planner import TAKES
from jobs.planner.declarations import DECLARATIONS, POLICY_NAME
from jobs.planner.draft import KINDS
from jobs.planner.drain import DrainRequest
from jobs.planner.job_parameters import PARAMETERS
from jobs.planner.request import JobRequest
from jobs.planner.requeue import RequeueRequest
from jobs.queries.files import FILE_NAME
from jobs.states import PRIORITIES

WORK: Final = ("documents", "file_id", "requests", "tasks")
NEEDS: Final = {
    "chat": ("input",),
    "analyze": ("input",),
    "batch": ("requests",),
    "embed": (),
    "pipeline": ("tasks",),
}
"""What a submit body of each type cannot do without."""

CHOSEN: Final[list[dict[str, Any]]] = [
    {"required": ["tasks"], "properties": {"tasks": {"type": "array"}}},
    {"required": ["cause"], "properties": {"cause": {"type": "string"}}},
]
"""Dead letters are named, or all of a cause."""

NONE: Final = {"const": ""}
BACKENDS: Final[list[dict[str, Any]]] = [
    {"properties": {"backend": {"const": "embedded"}, "base_url": NONE, "key_name": NONE}},
    {
        "properties": {
            "backend": {"const": "openai"},
            "base_url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^@]+$"},
        },
        "required": ["base_url"],
    },
]
"""Embedded models have no address and no key; others have an address."""

ABSENT: Final = {"type": "null"}
GIVEN: Final[list[dict[str, Any]]] = [
    {"required": ["documents"], "properties": {"documents": {"type": "array", "minItems": 1}}},
    {"required": ["file_id"], "properties": {"file_id": {"type": "string"}}},
]
SOURCES: Final[dict[str, Any]] = {
    "chat": {"anyOf": [{"properties": {"documents": ABSENT}}, {"properties": {"file_id": ABSENT}}]},
    "analyze": {"oneOf": GIVEN},
    "embed": {"oneOf": GIVEN},
}
"""Documents come from one place: ``chat`` takes one at most, the others exactly one."""

NAMES: Final = {
    "policy": POLICY_NAME,
    "tenant": TENANT_NAME,
    "file_id": FILE_NAME,
    "plan_hash": re.compile("[0-9a-f]{64}"),
}
"""Fields that name something: other text finds nothing."""

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "chat": {"type": "chat", "input": "What do customers complain about?"},
    "analyze": {
        "type": "analyze",
        "input": "Find the root causes.",
        "documents": [{"id": "t-1", "text": "The export stops at 9,800 rows."}, "I cannot log in."],
        "priority": "interactive",
        "labels": {"team": "support"},
    },
    "batch": {
        "type": "batch",
        "requests": [
            {"custom_id": "a", "kind": "echo", "input": {"said": "hello"}},
            {"custom_id": "b", "body": {"messages": [{"role": "user", "content": "Hello"}]}},
        ],
    },
    "embed": {"type": "embed", "documents": ["The export stops at 9,800 rows."]},
    "pipeline": {
        "type": "pipeline",
        "tasks": [
            {"name": "a", "kind": "echo", "input": 1},
            {"name": "b", "kind": "echo", "input": 2, "needs": ["a"]},
        ],
        "budget": {"limit_usd": 1.0},
        "max_parallelism": 2,
    },
}
"""A body of each type that a new fabric takes."""

WITHOUT_NUL: Final = {"pattern": "^[^\\u0000]*$"}
WITH_TEXT: Final = {"pattern": "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"}

FORMS: Final[dict[str, Any]] = {
    "FileForm": {
        "title": "FileForm",
        "description": "A file as a form sends it; its fields go before the query's parameters.",
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary", "minLength": 1},
            "purpose": {"enum": list(get_args(FilePurpose))},
            # A form has text only, and `null` is the name of a tenant as any other.
            "tenant": {"type": ["string", "null"], "pattern": f"^{TENANT_NAME.pattern}$"},
        },
        "required": ["file"],
        "additionalProperties": False,
    }
}


def request_schemas() -> dict[str, Any]:
    """Return the components of request bodies: the submit body's for each type, and the others."""
    _, components = msgspec.json.schema_components(
        (JobRequest, RequeueRequest, DrainRequest, *DECLARATIONS.values()),
        ref_template="#/components/schemas/{name}",
    )
    whole = components["JobRequest"]
    for name, pattern in NAMES.items():
        _text(whole["properties"][name])["pattern"] = f"^{pattern.pattern}$"
    for component in components.values():
        _refuse_nul(component)
    for kind in ("BatchRequest", "PipelineTask"):
        components[kind]["properties"]["kind"] = {"enum": sorted(KINDS)}
    whole["properties"]["labels"]["propertyNames"].update(type="string", **WITHOUT_NUL)
    components["RequeueRequest"]["oneOf"] = CHOSEN
    components["EndpointSettings"]["oneOf"] = BACKENDS
    policy = components["PolicySpec"]["properties"]
    policy["types"]["items"] = {"enum": list(TAKES)}
    policy["priorities"]["items"] = {"enum": sorted(PRIORITIES)}
    policy["pool"]["pattern"] = f"^{TENANT_NAME.pattern}$"
    components["BatchRequest"]["oneOf"] = [{"required": ["input"]}, {"required": ["body"]}]
    components["GivenDocument"]["properties"]["text"].update(WITH_TEXT)
    _text(_given(whole["properties"]["documents"])["items"]).update(WITH_TEXT)
    by_type = {f"{name.title()}Job": _of_type(name, whole) for name in TAKES}
    references = {
        name: f"#/components/schemas/{component}"
        for name, component in zip(TAKES, by_type, strict=True)
    }
    components["JobRequest"] = {
        "title": "JobRequest",
        "description": "The body of POST /v1/jobs: fields depend on its type.",
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "type", "mapping": references},
    }
    return {**components, **by_type}


def _text(kind: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a schema that is for text."""
    return next(each for each in kind.get("anyOf", [kind]) if each.get("type") == "string")


def _of_type(name: str, whole: dict[str, Any]) -> dict[str, Any]:
    left_out = {field for field in WORK if field not in TAKES[name]}
    properties = {key: kind for key, kind in whole["properties"].items() if key not in left_out}
    needed = {key: _given(whole["properties"][key]) for key in NEEDS[name]}
    return {
        "title": f"{name.title()}Job",
        "description": f"A job of type `{name}`.",
        "type": "object",
        "properties": {
            **properties,
            **needed,
            "type": {"const": name},
            "parameters": _parameters(name),
        },
        "required": ["type", *NEEDS[name]],
        "additionalProperties": False,
        **SOURCES.get(name, {}),
    }


def _given(kind: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema where the field must be there, and not be empty."""
    (present,) = [each for each in kind["anyOf"] if each != {"type": "null"}]
    if present["type"] == "string":
        return {**present, "minLength": 1, **WITH_TEXT}
    return {**present, "minItems": 1}


def _parameters(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "default": {},
        "properties": {key: parameter.schema() for key, parameter in PARAMETERS[name].items()},
        "additionalProperties": False,
    }


def _refuse_nul(kind: Any) -> None:
    """Say of every text in a request that it is without NUL, as the reader of bodies demands."""
    if isinstance(kind, list):
        for each in kind:
            _refuse_nul(each)
    elif isinstance(kind, dict):
        for each in kind.values():
            _refuse_nul(each)
        if kind.get("type") == "string" and not kind.keys() & {"pattern", "enum"}:
            kind.update(WITHOUT_NUL)
