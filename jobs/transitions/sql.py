"""Running one statement with array parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection


def fetch(statement: str, parameters: dict[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement in the current transaction and return all its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def execute(statement: str, parameters: dict[str, Any] | Sequence[Any] = ()) -> int:
    """Run a statement in the current transaction and return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount


def integers(values: Iterable[int]) -> str:
    """An array literal for ``%s::bigint[]``; several times cheaper than adapting a list."""
    return "{" + ",".join(map(str, values)) + "}"


def columns(rows: Sequence[NamedTuple], fields: Sequence[str]) -> dict[str, Any]:
    """Rows turned into one array per field, the shape that ``unnest`` takes."""
    if not rows:
        return dict.fromkeys(fields, "{}")
    return dict(zip(fields, map(_array, zip(*rows, strict=True)), strict=True))


def _array(values: tuple[Any, ...]) -> Any:
    """Numbers and columns of nothing as literals; psycopg adapts the rest, quoting and all."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return integers(values)
    if kinds == {type(None)}:
        return "{" + ",".join(["NULL"] * len(values)) + "}"
    return list(values)
