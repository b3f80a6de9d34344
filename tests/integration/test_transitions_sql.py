"""Array literals: what goes into them comes out of PostgreSQL as it was."""

from typing import NamedTuple

import pytest

from jobs.transitions.sql import columns, fetch, texts

pytestmark = pytest.mark.django_db


class Row(NamedTuple):
    """One column of each kind that statements are given."""

    whole: int
    real: float
    text: str | None
    nothing: None
    flag: bool


TEXTS = [
    "",
    "NULL",
    "null",
    'a "b"',
    "\\",
    '\\"',
    "{a,b}",
    "a,b",
    " a ",
    "a\nb\tc",
    "ä€😀",
    "'",
    "%s",
    None,
]


def test_texts_come_back_as_they_were():
    assert fetch("select %s::text[]", (texts(TEXTS),)) == [(TEXTS,)]


def test_no_texts_are_an_empty_array():
    assert fetch("select %s::text[]", (texts([]),)) == [([],)]


def test_rows_become_one_array_for_each_field():
    rows = [Row(n, n / 3, text, None, bool(n % 2)) for n, text in enumerate(TEXTS)]
    arrays = columns(rows, Row._fields)
    back = fetch(
        "select * from unnest(%(whole)s::bigint[], %(real)s::float[], %(text)s::text[], "
        "%(nothing)s::int[], %(flag)s::bool[])",
        arrays,
    )
    assert back == [tuple(row) for row in rows]


def test_numbers_beyond_all_bounds_come_back_too():
    rows = [Row(2**63 - 1, float("inf"), "", None, True), Row(-(2**63), 1e-300, "", None, False)]
    arrays = columns(rows, Row._fields)
    back = fetch("select * from unnest(%(whole)s::bigint[], %(real)s::float[])", arrays)
    assert back == [(row.whole, row.real) for row in rows]
