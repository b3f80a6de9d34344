"""Array literals: what goes into them comes out of PostgreSQL as it was."""

from typing import NamedTuple

import pytest
from django.db import connection

from daef_site.database.base import DatabaseWrapper
from jobs.transitions.sql import columns, fetch, fetch_each, fetch_prepared, texts

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


@pytest.mark.parametrize(
    ("pool", "kept"), [({"max_size": 1, "timeout": 1, "max_idle": 60}, 1), (None, 0)]
)
def test_statements_are_prepared_where_the_connection_is_kept(pool, kept):
    options = {**connection.settings_dict["OPTIONS"], "pool": pool}
    own = DatabaseWrapper({**connection.settings_dict, "OPTIONS": options}, f"own-{kept}")
    try:
        for value in ("1", "40000"):
            with own.prepared_cursor() as cursor:
                cursor.execute("select %(value)s::int", {"value": value})
                assert cursor.fetchall() == [(int(value),)]
        with own.cursor() as plain:
            plain.execute("select count(*) from pg_prepared_statements")
            assert plain.fetchone() == (kept,)
    finally:
        own.close()
        own.close_pool()


def test_statements_that_are_sent_together_answer_one_by_one(django_assert_num_queries):
    series = "select generate_series(1, %(two)s)"
    statements = ("select %(one)s, 'a;b'", series, "select 1 where false")
    with django_assert_num_queries(1):
        assert fetch_each(statements, {"one": 1, "two": 2}) == [[(1, "a;b")], [(1,), (2,)], []]


def test_a_prepared_statement_takes_numbers_texts_and_nothing():
    given = {"whole": 2**40, "real": 0.5, "text": "a 'b'", "nothing": None}
    statement = "select %(whole)s::bigint, %(real)s::float, %(text)s::text, %(nothing)s::int"
    assert fetch_prepared(statement, given) == [(2**40, 0.5, "a 'b'", None)]
