"""The least and the most that a schema takes, and what is just beyond, for each field of a spec."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.kube.admission import Schema

Path = tuple[str | int, ...]


def extremes(schema: Schema) -> list[Any]:
    """The least and the most that a schema takes."""
    match schema:
        case {"type": "integer", "minimum": least, "maximum": most}:
            return [least, most]
        case {"enum": words}:
            return list(words)
        case {"type": "boolean"}:
            return [False, True]
        case {"type": "string", "maxLength": most} if "pattern" not in schema:
            return ["x" * max(1, schema.get("minLength", 0)), "x" * most]
        case {"type": "array", "maxItems": most, "items": inner}:
            longest = extremes(inner)[-1]
            some = [f"{number:03}{longest[3:]}" for number in range(most)]
            return [extremes(inner)[:1], extremes(inner) if "enum" in inner else some]
    return []


def beyond(schema: Schema) -> Iterator[Any]:
    """Values that are just too small, too large, or of another type."""
    match schema:
        case {"type": "integer", "minimum": least, "maximum": most}:
            yield from (least - 1, most + 1, least + 0.5, str(least), True)
        case {"enum": words}:
            yield from ("", words[0].lower(), words[0] + "x", 1)
        case {"type": "boolean"}:
            yield from ("true", 1)
        case {"type": "string", "maxLength": most}:
            yield from ("x" * (most + 1), 1, True, ["x"])
            if schema.get("minLength"):
                yield ""
            if "pattern" in schema and schema["pattern"].startswith("^"):
                yield from ("not fit\n", "nicht ganz")
        case {"type": "array", "maxItems": most}:
            yield from ("x", {"x": "x"})
            if schema.get("minItems"):
                yield []
        case {"additionalProperties": inner, "maxProperties": most}:
            yield {f"name-{number}": "1" for number in range(most + 1)}
            for value in beyond(inner):
                yield {"name": value}
        case {"type": "object"}:
            yield from ("x", 1, ["x"])


def leaves(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every field of a schema; of a list its first member's."""
    if path:
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from leaves(part, (*path, name))
    if "items" in schema:
        yield from leaves(schema["items"], (*path, 0))


def put(spec: Any, path: Path, value: Any, schema: Schema) -> Any:
    """The spec with this value there, and what has to be around it."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        inner = (spec or [_least(schema["items"])])[0]
        return [put(inner, tuple(rest), value, schema["items"])]
    part = schema["properties"][first]
    around = deepcopy(spec) if isinstance(spec, dict) else _least(schema)
    return {**around, first: put(around.get(first), tuple(rest), value, part)}


def _least(schema: Schema) -> Any:
    """The smallest object with what is required; anything else is a word."""
    if schema.get("type") != "object":
        return extremes(schema)[0] if extremes(schema) else "x"
    required = schema.get("required", ())
    return {name: _least(schema["properties"][name]) for name in required}


def shown(path: Path) -> str:
    """The path as the API server writes it."""
    text = "spec"
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text


def wrong_specs(schema: Schema, usual: Any) -> Iterator[tuple[str, Any]]:
    """For each field and each value beyond its bounds: the field, and a spec that has it."""
    for path, part in leaves(schema):
        for value in beyond(part):
            yield shown(path), put(usual, path, value, schema)
