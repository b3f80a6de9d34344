"""``docs/reference/crds.md``: every field, condition, reason, rule and column, from the types."""

import json
from collections.abc import Iterator

from kube.resources import API_VERSION, KINDS, Kind
from kube.resources.rest import rest_places
from kube.schema import Schema, object_schema

INTRODUCTION = f"""# Custom resources

Made by `python -m kube.crds` from `kube/resources/`. All kinds are of `{API_VERSION}`. PostgreSQL
has the truth: a resource says what is wanted, its status sums up what became of it. A field that
REST has too names its place there. Tried on Kubernetes 1.37; selectable fields need 1.31 or later.

| kind | short | scope | is |
| --- | --- | --- | --- |
"""
FLAWS = """
Words of closed lists are written in CamelCase here and in lower case in REST. Numbers are whole and
bear their unit in their name. Secrets are only ever referred to.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [
        f"| [`{kind.name}`](#{kind.name.lower()}) | `{kind.short}` | "
        f"{'namespace' if kind.namespaced else 'cluster'} | {kind.description} |"
        for kind in KINDS
    ]
    return INTRODUCTION + "\n".join(rows) + "\n" + FLAWS + "".join(map(_kind, KINDS))


def _kind(kind: Kind) -> str:
    spec, status = object_schema(kind.spec), object_schema(kind.status, defaults=False)
    rest = rest_places(kind.spec)
    parts = [
        f"\n## {kind.name}\n\n{spec['description']}\n{_origin(kind)}",
        f"\n### {kind.name}: spec\n\n" + _table(_fields(spec, "", rest), "in REST"),
        f"\n### {kind.name}: status\n\n{status['description']}\n\n"
        + _table(_fields(status, "", {}), ""),
        f"\n### {kind.name}: conditions\n\n" + _conditions(kind),
        f"\n### {kind.name}: rules\n\nRefused with these messages:\n\n" + _rules(kind, spec),
        f"\n### {kind.name}: columns\n\n" + _columns(kind),
    ]
    return "".join(parts)


def _origin(kind: Kind) -> str:
    if not kind.collection:
        return "\nIt is submitted once, to `POST /v1/jobs`.\n"
    return f"\nIt is declared as `PUT /v1/admin/{kind.collection}/<metadata.name>`.\n"


Row = tuple[str, str, str, str, str]


def _fields(schema: Schema, above: str, rest: dict[str, str]) -> Iterator[Row]:
    """Path, type with bounds, default, meaning and place in REST of every field."""
    for name, field in schema.get("properties", {}).items():
        path = f"{above}{name}"
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        if name in schema.get("required", ()):
            default = "*required*"
        yield path, _type(field), default, field["description"], rest.get(path, "")
        inner = field.get("items", field)
        if inner.get("properties") and name != "conditions":
            yield from _fields(inner, f"{path}{'[]' if inner is not field else ''}.", rest)


def _type(field: Schema) -> str:
    match field:
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"type": "integer", "minimum": least, "maximum": most}:
            return f"whole number, {least:,} to {most:,}"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": "string", "maxLength": longest}:
            return f"text, {field.get('minLength', 0)} to {longest:,} characters"
        case {"type": "array", "items": inner, "maxItems": most}:
            return f"list, {field.get('minItems', 0)} to {most:,}: {_type(inner)}"
        case {"additionalProperties": inner}:
            return f"map, up to {field['maxProperties']}: {_type(inner)}"
    return str(field["type"])


def _table(rows: Iterator[Row], rest: str) -> str:
    head = ["field", "is", "default", "meaning"] + ([rest] if rest else [])
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for path, kind, default, meaning, place in rows:
        cells = [f"`{path}`", kind, default, meaning] + (
            [f"`{place}`" if place else ""] if rest else []
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _conditions(kind: Kind) -> str:
    lines = []
    for condition in kind.conditions:
        lines += [
            f"`{condition.name}`: {condition.meaning}",
            "",
            "| reason | meaning |",
            "| --- | --- |",
        ]
        lines += [f"| `{reason}` | {meaning} |" for reason, meaning in condition.reasons.items()]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _rules(kind: Kind, spec: Schema) -> str:
    messages = [rule.message for rule in kind.rules] + list(_messages(spec))
    return (
        "".join(f"- {message}\n" for message in dict.fromkeys(messages)) or "None but the bounds.\n"
    )


def _messages(schema: Schema) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for field in schema.get("properties", {}).values():
        yield from _messages(field.get("items", field))


def _columns(kind: Kind) -> str:
    lines = ["| column | shows |", "| --- | --- |"]
    for column in kind.columns:
        wide = " (`-o wide`)" if column.wide else ""
        lines.append(f"| {column.name}{wide} | {column.description} `{column.path}` |")
    return "\n".join(lines) + "\n"
