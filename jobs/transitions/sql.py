"""Running one statement with array parameters."""

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Final, NamedTuple

from django.db import connection

SEPARATOR: Final = "\n;\n"
"""Between statements that are sent together."""


def fetch(statement: str, parameters: dict[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement in the current transaction and return all its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def fetch_each(
    statements: Sequence[str], parameters: Mapping[str, Any]
) -> list[list[tuple[Any, ...]]]:
    """Run several statements in one round trip and return the rows of each.

    Each sees what was committed before it began, as if they had been sent one after the other.
    """
    with connection.cursor() as cursor:
        cursor.execute(SEPARATOR.join(statements), parameters)
        found = [cursor.fetchall()]
        while cursor.nextset():
            found.append(cursor.fetchall())
        return found


def fetch_prepared(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """`fetch` for a statement whose planning takes longer than running it for one task.

    Only for statements whose plan is good whatever the tables hold. Parameters go as text, so that
    one prepared statement serves all their values; PostgreSQL takes each for what stands beside it.
    """
    given = {name: _as_text(value) for name, value in parameters.items()}
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # our own backend's
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def one_line(statement: str) -> str:
    """The statement without its indentation; psycopg reads those beyond 4,096 characters anew."""
    return " ".join(statement.split())


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


def _as_text(value: str | float | None) -> str | None:
    return None if value is None else str(value)


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
