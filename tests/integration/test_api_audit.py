"""The audit log over REST: filters, pages, CSV, and whether it is whole."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from audit import checks, recorder
from audit.chain import Entry, digest
from audit.events import Action, Door, Origin, Result
from audit.export import AuditFilter, newest_first
from audit.models import AuditEntry
from jobs.api import operator_shapes, streams
from tests.integration.audit_log import stored, tamper, write
from tests.integration.gateway import TOKENS, Gateway, checked, problem

pytestmark = pytest.mark.django_db

ADDRESS = "/v1/admin/audit"


@pytest.fixture(autouse=True)
def tokens(settings):
    settings.DAEF_API_TOKENS = TOKENS


@pytest.fixture
def olga():
    return Gateway("olga-token")


def listed(gateway, query=""):
    return checked(gateway.get(ADDRESS + query), operator_shapes.AuditEntryList)


def numbers(gateway, query=""):
    return [item["number"] for item in listed(gateway, query)["items"]]


def rows(response):
    return list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))


def test_entries_are_listed_newest_first_page_by_page(olga):
    write(3)
    page = listed(olga, "?limit=2&offset=0")
    assert [item["number"] for item in page["items"]] == [3, 2]
    assert (page["total"], page["next"]) == (3, f"{ADDRESS}?limit=2&offset=2")
    assert numbers(olga, "?limit=2&offset=2") == [1]
    assert numbers(olga, "?offset=9") == []


def test_an_entry_tells_all_that_its_hash_covers(olga):
    origin = Origin(Door.REST, "192.0.2.7", "r-1")
    write(origin=origin, reason='say "x"', details={"tasks": 3})
    (item,) = listed(olga)["items"]
    assert item["details"] == {"tasks": 3}
    entry = stored(1)
    again = Entry(**{**item, "happened_at": entry.happened_at, "details": '{"tasks":3}'})
    assert again == entry
    assert digest(again) == item["hash"]


def test_the_filters_narrow_together(olga):
    write(actor="alice", tenant="default")
    write(actor="bob", tenant="default", action=Action.DEAD_LETTER_REQUEUE)
    write(actor="bob", tenant="acme", action=Action.DEAD_LETTER_REQUEUE, result=Result.DRY_RUN)
    assert numbers(olga, "?actor=bob") == [3, 2]
    assert numbers(olga, "?tenant=default") == [2, 1]
    assert numbers(olga, "?result=dry_run") == [3]
    assert numbers(olga, "?action=dead_letter_requeue&result=ok&tenant=default") == [2]
    assert listed(olga, "?actor=bob&limit=1")["total"] == 2
    assert numbers(olga, "?tenant=nobody") == []


def test_a_span_of_time_takes_its_first_moment_and_not_its_last(olga):
    write(3)
    first, last = (stored(n).happened_at.isoformat() for n in (1, 3))
    span = f"?from={first}&to={last}".replace("+", "%2B")
    assert numbers(olga, span) == [2, 1]
    seeds = "action=job_retry&result=ok&tenant=acme&from=2026-02-18T00:00:00Z"
    assert numbers(olga, f"?{seeds}&to=2100-02-19T00:00:00Z") == [3, 2, 1]
    late = (stored(3).happened_at + timedelta(seconds=1)).isoformat().replace("+", "%2B")
    assert numbers(olga, f"?from={late}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?action=job_explode", "action"),
        ("?result=fine", "result"),
        ("?from=yesterday", "from"),
        ("?to=2026-02-18", "to"),
        ("?format=xml", "format"),
        ("?limit=1001", "limit"),
        ("?since=2026-02-18T00:00:00Z", "since"),
        ("?actor=%00", "actor"),
    ],
)
def test_a_query_that_can_not_be_used_is_refused_by_name(olga, query, field):
    assert problem(olga.get(ADDRESS + query), 400)["errors"][0]["field"] == field


class TestCsv:
    def test_it_has_a_header_and_the_same_entries(self, olga):
        write(2)
        response = olga.get(ADDRESS + "?format=csv&limit=500")
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="audit.csv"'
        header, *lines = rows(response)
        assert header == list(Entry._fields)
        assert [line[0] for line in lines] == ["2", "1"]

    def test_no_spreadsheet_runs_a_cell(self, olga):
        write(reason="=cmd|' /C calc'!A0", actor="@SUM(1)", tenant="+1", target="-1\t")
        _, line = rows(olga.get(ADDRESS + "?format=csv"))
        cells = dict(zip(Entry._fields, line, strict=True))
        assert all(cells[name][0] == "'" for name in ("reason", "actor", "tenant", "target"))

    def test_filters_limit_and_offset_hold(self, olga):
        write(3)
        write(actor="bob")
        assert [row[0] for row in rows(olga.get(ADDRESS + "?format=csv&limit=2"))[1:]] == ["4", "3"]
        page = olga.get(ADDRESS + "?format=csv&actor=alice&offset=1&limit=1")
        assert [row[0] for row in rows(page)[1:]] == ["2"]

    def test_without_a_limit_it_is_all_of_them_a_page_in_memory_at_a_time(self, olga, monkeypatch):
        monkeypatch.setattr("audit.export.PAGE", 2)
        monkeypatch.setattr(streams, "WHOLE_BYTES", 0)
        write(5)
        with CaptureQueriesContext(connection) as queries:
            stream = iter(olga.get(ADDRESS + "?format=csv").streaming_content)
            assert b'"number"' in next(stream)
            assert next(stream).startswith(b'"5"')
        assert sum("audit_entry" in query["sql"] for query in queries.captured_queries) == 1
        assert len(list(stream)) == 4

    def test_a_database_that_is_away_is_told_and_no_log_without_entries(self, olga, monkeypatch):
        def away(*_arguments, **_more):
            raise OperationalError("no connection")
            yield

        monkeypatch.setattr("jobs.api.audit.newest_first", away)
        assert olga.get(ADDRESS + "?format=csv").status_code == 503

    def test_one_that_goes_away_in_the_middle_leaves_a_line_that_says_so(self, olga, monkeypatch):
        def breaks(*_arguments, **_more):
            yield from newest_first(AuditFilter())
            raise OperationalError("no connection")

        write(1)
        monkeypatch.setattr(streams, "WHOLE_BYTES", 0)
        monkeypatch.setattr("jobs.api.audit.newest_first", breaks)
        told = rows(olga.get(ADDRESS + "?format=csv"))
        assert [row[0] for row in told] == ["number", "1", streams.CUT]

    def test_entries_that_come_meanwhile_are_not_in_it(self, olga, monkeypatch):
        monkeypatch.setattr("audit.export.PAGE", 2)
        monkeypatch.setattr(streams, "WHOLE_BYTES", 0)
        write(3)
        stream = iter(olga.get(ADDRESS + "?format=csv").streaming_content)
        lines = [next(stream), next(stream)]
        write(2)
        lines += stream
        assert [line[:3] for line in lines[1:]] == [b'"3"', b'"2"', b'"1"']


class TestStatus:
    def test_an_empty_log_has_no_head(self, olga):
        assert checked(olga.get(ADDRESS + "/status"), operator_shapes.AuditStatus) == {
            "entries": 0,
            "head": None,
            "verified_through": 0,
            "verified_at": None,
            "broken": None,
        }

    def test_it_tells_what_was_verified(self, olga):
        write(2)
        checks.check_some()
        write(1)
        told = checked(olga.get(ADDRESS + "/status"), operator_shapes.AuditStatus)
        assert (told["entries"], told["verified_through"]) == (3, 2)
        assert told["head"] == str(recorder.head())
        assert told["verified_at"].endswith("Z")
        assert told["broken"] is None

    def test_it_names_a_breach(self, olga):
        write(3)
        checks.check_some()
        tamper("update audit_entry set actor = 'mallory' where number = 2")
        checks.check_some()
        told = checked(olga.get(ADDRESS + "/status"), operator_shapes.AuditStatus)
        assert told["broken"] == {"entry": 2, "kind": "edit"}


def test_reading_the_log_leaves_no_entry(olga):
    write()
    listed(olga)
    rows(olga.get(ADDRESS + "?format=csv"))
    assert AuditEntry.objects.count() == 1


def test_details_are_an_object_whatever_they_hold(olga):
    write(details={})
    assert json.loads(olga.get(ADDRESS).content)["items"][0]["details"] == {}
