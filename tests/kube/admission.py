"""What a kube-apiserver does with an object of ours before it stores it, by its definition alone.

    resources = load()                                  # by plural, from config/crd/bases
    stored = resources["aijobs"].admit(body)            # a create
    stored = resources["aijobs"].admit(body, old)       # an update; ``old`` is what is stored
    resources["aijobs"].unknown(body)                   # paths that kubectl refuses and others lose

``admit`` prunes what the schema does not know, fills in defaults, checks the schema and then the
rules in CEL (those with ``oldSelf`` on updates only), and returns what is to be stored; it changes
nothing it is given. ``Refused`` has a cause for each field, and ``document()``, the Status that the
API answers with code 422. Whose part of an object is written (status apart from spec), versions and
``metadata`` are the server's own business: hand in the object as it would be.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cel
import yaml
from jsonschema import Draft202012Validator, FormatChecker

ROOT = Path(__file__).resolve().parents[2]
BASES = ROOT / "config" / "crd" / "bases"
Object = dict[str, Any]
Schema = dict[str, Any]
NOTHING = object()
FORMATS = FormatChecker(formats=())


@dataclass(frozen=True)
class Cause:
    """A field and what is wrong with it."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class Refused(Exception):
    """The object cannot be stored."""

    def __init__(self, resource: "Resource", name: str, causes: list[Cause]) -> None:
        self.resource, self.name, self.causes = resource, name, causes
        listed = ", ".join(map(str, causes))
        shown = listed if len(causes) == 1 else f"[{listed}]"
        super().__init__(f'{resource.kind}.{resource.group} "{name}" is invalid: {shown}')

    def document(self) -> Object:
        """The answer of the API."""
        causes = [
            {"reason": each.reason, "message": each.message, "field": each.field}
            for each in self.causes
        ]
        details = {"name": self.name, "group": self.resource.group, "kind": self.resource.kind}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": "Invalid",
            "code": 422,
            "details": {**details, "causes": causes},
        }


@dataclass(frozen=True)
class Resource:
    """A kind as its CustomResourceDefinition has it."""

    definition: Object

    @property
    def group(self) -> str:
        return str(self.definition["spec"]["group"])

    @property
    def kind(self) -> str:
        return str(self.definition["spec"]["names"]["kind"])

    @property
    def plural(self) -> str:
        return str(self.definition["spec"]["names"]["plural"])

    @property
    def namespaced(self) -> bool:
        return bool(self.definition["spec"]["scope"] == "Namespaced")

    @property
    def version(self) -> Object:
        return dict(self.definition["spec"]["versions"][0])

    @cached_property
    def schema(self) -> Schema:
        return dict(self.version["schema"]["openAPIV3Schema"])

    @cached_property
    def validator(self) -> Any:
        return Draft202012Validator(self.schema, format_checker=FORMATS)

    def admit(self, given: Object, old: Object | None = None) -> Object:
        """The object as it would be stored. Raises Refused."""
        value = {name: part for name, part in given.items() if name != "metadata"}
        value = defaulted(self.schema, pruned(self.schema, deepcopy(value)))
        causes = [*wrong_shape(self.validator, value), *repeated(self.schema, value, "")]
        before = NOTHING if old is None else {**old, "metadata": _named(old)}
        if not causes:
            seen = {**value, "metadata": _named(given)}
            causes = list(broken_rules(self.schema, seen, before, ""))
        if causes:
            raise Refused(self, str(given.get("metadata", {}).get("name", "")), causes)
        return {**value, "metadata": deepcopy(given.get("metadata", {}))}

    def unknown(self, given: Object) -> list[str]:
        """Paths of fields that the schema does not know."""
        return list(unknown_fields(self.schema, given, ""))


@cache
def load(folder: Path = BASES) -> dict[str, Resource]:
    """The kinds by their plural."""
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.yaml"))]
    found = [Resource(yaml.safe_load(text)) for text in texts]
    return {resource.plural: resource for resource in found}


def _named(given: Object) -> Object:
    """All of ``metadata`` that rules may look at."""
    return {"name": given.get("metadata", {}).get("name", "")}


# ── pruning and defaults ──────────────────────────────────────────────────────────────────────────


def pruned(schema: Schema, value: Any) -> Any:
    """The value without what the schema does not know."""
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {name: pruned(known[name], part) for name, part in value.items() if name in known}
    if isinstance(value, dict) and "additionalProperties" in schema:
        each = schema["additionalProperties"]
        return {name: pruned(each, part) for name, part in value.items()}
    if isinstance(value, list) and "items" in schema:
        return [pruned(schema["items"], part) for part in value]
    return value


def unknown_fields(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """What pruning takes away."""
    if isinstance(value, dict) and "properties" in schema:
        for name, part in value.items():
            if name in schema["properties"]:
                yield from unknown_fields(schema["properties"][name], part, _below(path, name))
            elif path or name != "metadata":
                yield _below(path, name)
    elif isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            yield from unknown_fields(schema["items"], part, f"{path}[{number}]")


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with defaults filled in; null counts as left out where there is a default."""
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if value.get(name) is None and "default" in part:
                value[name] = deepcopy(part["default"])
            if name in value:
                value[name] = defaulted(part, value[name])
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), part) for part in value]
    return value


# ── the schema ────────────────────────────────────────────────────────────────────────────────────


@FORMATS.checks("date-time")
def _is_moment(text: object) -> bool:
    if not isinstance(text, str):
        return True
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def wrong_shape(validator: Any, value: Object) -> Iterator[Cause]:
    """What is not as the schema says; each cause names the field itself, also a missing one."""
    for error in validator.iter_errors(value):
        path = _dotted(error.absolute_path)
        if error.validator != "required":
            yield Cause(path, f"Invalid value: {error.message}")
            continue
        for name in error.validator_value:
            if name not in error.instance:
                yield Cause(_below(path, name), "Required value", "FieldValueRequired")


def _dotted(path: Any) -> str:
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else _below(text, part)
    return text


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def repeated(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Members that a set, or a list with keys, has twice."""
    for where, part_schema, part, _ in parts(schema, value, NOTHING, path):
        yield from repeated(part_schema, part, where)
    if not isinstance(value, list):
        return
    seen: list[Any] = []
    for number, part in enumerate(value):
        key = _member_key(schema, part)
        if key is not NOTHING and key in seen:
            yield Cause(f"{path}[{number}]", f"Duplicate value: {key!r}", "FieldValueDuplicate")
        seen.append(key)


def _member_key(schema: Schema, part: Any) -> Any:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return part
        case "map" if isinstance(part, dict):
            return {name: part.get(name) for name in schema["x-kubernetes-list-map-keys"]}
    return NOTHING


# ── CEL ───────────────────────────────────────────────────────────────────────────────────────────


def broken_rules(schema: Schema, value: Any, old: Any, path: str) -> Iterator[Cause]:
    """Rules that do not hold, here and below."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" in rule["rule"] and old is NOTHING:
            continue
        if (problem := _problem(rule, value, old)) is not None:
            where = f"{path}{rule.get('fieldPath', '')}".lstrip(".")
            yield Cause(where or "<nil>", f"Invalid value: {problem}")
    for where, part_schema, part, before in parts(schema, value, old, path):
        yield from broken_rules(part_schema, part, before, where)


def _problem(rule: Object, value: Any, old: Any) -> str | None:
    context = {"self": value} if old is NOTHING else {"self": value, "oldSelf": old}
    try:
        return None if compiled(rule["rule"]).execute(context) is True else str(rule["message"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        return f"{error} evaluating rule: {rule['message']}"


@cache
def compiled(rule: str) -> Any:
    """The rule's program. Raises ValueError where it is not CEL."""
    return cel.compile(rule)


Part = tuple[str, Schema, Any, Any]


def parts(schema: Schema, value: Any, old: Any, path: str) -> Iterator[Part]:
    """Path, schema, value and former value of all that an object or list holds."""
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        schema_of: Callable[[str], Schema | None] = schema.get("properties", {}).get
        for name, part in value.items():
            known = schema_of(name) or schema.get("additionalProperties")
            if known is not None:
                yield _below(path, name), known, part, before.get(name, NOTHING)
    elif isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            yield f"{path}[{number}]", schema["items"], part, _former(schema, part, old)


def _former(schema: Schema, part: Any, old: Any) -> Any:
    """The same member before: only lists with keys tell."""
    key = _member_key(schema, part)
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return NOTHING
    return next((each for each in old if _member_key(schema, each) == key), NOTHING)
