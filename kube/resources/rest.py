"""A resource's spec as a body of REST: each field says where it belongs there."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec

from kube.resources.fields import InRest, taken_apart


def rest_body(spec: msgspec.Struct) -> dict[str, Any]:
    """The fields of a spec that REST has too, under the names of REST.

    For an ``AIJob`` it is the body of ``POST /v1/jobs`` without what ConfigMaps hold; for the
    others the ``spec`` of ``PUT /v1/admin/<collection>/<name>``. What is left out is left to the
    fabric's own default.
    """
    body: dict[str, Any] = {}
    for place, value in _values(spec):
        *above, last = place.path.split(".")
        into = body
        for name in above:
            into = into.setdefault(name, {})
        into[last] = place.written(value)
    return body


def rest_places(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The path of each field that REST has, by its path in the resource."""
    return {name: place.path for name, place in _places(kind, "")}


def _values(spec: msgspec.Struct) -> Iterator[tuple[InRest, Any]]:
    hints = get_type_hints(type(spec), include_extras=True)
    for name in spec.__struct_fields__:
        value = getattr(spec, name)
        place = place_of(hints[name])
        if isinstance(value, msgspec.Struct):
            yield from _values(value)
        elif place is not None and value is not None:
            yield place, value


def _places(kind: type[msgspec.Struct], above: str) -> Iterator[tuple[str, InRest]]:
    hints = get_type_hints(kind, include_extras=True)
    for name, shown in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        place, path = place_of(hints[name]), f"{above}{shown}"
        if place is not None:
            yield path, place
        inner, _ = taken_apart(hints[name])
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from _places(inner, f"{path}.")


def place_of(hint: Any) -> InRest | None:
    """Where REST has a field of this annotation, if it does."""
    place = (taken_apart(hint)[1].extra or {}).get("rest")
    return place if isinstance(place, InRest) else None
