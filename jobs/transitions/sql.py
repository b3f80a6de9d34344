"""Running one statement with array parameters."""

from collections.abc import Iterable, Sequence
from types import NoneType
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


def texts(values: Iterable[str | None]) -> str:
    """An array literal for ``%s::text[]``, each text quoted (PostgreSQL 8.15.6)."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(values: tuple[Any, ...]) -> Any:
    """Numbers and texts as literals; psycopg adapts the rest."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return integers(values)
    if kinds == {float}:
        return "{" + ",".join(map(repr, values)) + "}"
    if not all(issubclass(kind, str | NoneType) for kind in kinds):
        return list(values)
    if values.count(values[0]) == len(values):
        # Most columns of a large settlement: status, outcome, what none of its tasks has.
        return "{" + ",".join([_quoted(values[0])] * len(values)) + "}"
    return texts(values)
