"""Structural schemas of Kubernetes from the types of ``kube.resources``."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from kube.resources.fields import Rule, taken_apart

INT32 = 2**31 - 1
Schema = dict[str, Any]


def object_schema(kind: type[msgspec.Struct], *, defaults: bool = True) -> Schema:
    """The schema of a struct, described by its docstring.

    Without ``defaults`` nothing is filled in: what the operator does not say is not known.
    """
    hints = get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    schema: Schema = {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "properties": {
            field.encode_name: {
                **_schema(hints[field.name], defaults=defaults),
                **(_default(field) if defaults else {}),
            }
            for field in fields
        },
    }
    if required := [field.encode_name for field in fields if field.required]:
        schema["required"] = required
    return with_rules(schema, getattr(kind, "rules", ()))


def with_rules(schema: Schema, rules: Sequence[Rule]) -> Schema:
    """The schema with CEL rules; each names the field that is to blame."""
    if rules:
        schema["x-kubernetes-validations"] = [_validation(rule) for rule in rules]
    return schema


def _validation(rule: Rule) -> Schema:
    written = {"rule": rule.rule, "message": rule.message}
    return {**written, "fieldPath": rule.field} if rule.field else written


def _default(field: Any) -> Schema:
    """The default as JSON, where there is one other than nothing."""
    value = None
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory() or None
    elif field.default is not msgspec.NODEFAULT:
        value = field.default
    return {} if value is None else {"default": msgspec.to_builtins(value)}


def _schema(hint: Any, *, defaults: bool) -> Schema:
    base, meta = taken_apart(hint)
    schema = _typed(base, meta, defaults=defaults)
    if meta.description:
        schema["description"] = meta.description
    return schema


def _typed(base: Any, meta: Meta, *, defaults: bool) -> Schema:
    if get_origin(base) is Literal:
        words = list(get_args(base))
        return {"type": "string", "enum": words, "maxLength": max(map(len, words))}
    if get_origin(base) is list:
        return _list(base, meta, defaults=defaults)
    if get_origin(base) is dict:
        values = _schema(get_args(base)[1], defaults=defaults)
        return _bounded(
            {"type": "object", "additionalProperties": values}, maxProperties=meta.max_length
        )
    if base is bool:
        return {"type": "boolean"}
    if base is int:
        form = "int32" if (meta.le or 0) <= INT32 else "int64"
        return {"type": "integer", "format": form, "minimum": meta.ge, "maximum": meta.le}
    if base is str:
        return _text(meta)
    return object_schema(base, defaults=defaults)


def _text(meta: Meta) -> Schema:
    form = (meta.extra or {}).get("form") or None
    return _bounded(
        {"type": "string"},
        format=form,
        minLength=meta.min_length,
        maxLength=meta.max_length,
        pattern=meta.pattern,
    )


def _list(base: Any, meta: Meta, *, defaults: bool) -> Schema:
    extra = meta.extra or {}
    return _bounded(
        {"type": "array", "items": _schema(get_args(base)[0], defaults=defaults)},
        minItems=meta.min_length,
        maxItems=meta.max_length,
        **{
            "x-kubernetes-list-type": extra["list"],
            "x-kubernetes-list-map-keys": [extra["key"]] if extra["key"] else None,
        },
    )


def _bounded(schema: Schema, **bounds: Any) -> Schema:
    return {**schema, **{name: bound for name, bound in bounds.items() if bound is not None}}
