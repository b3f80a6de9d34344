"""The audit log in the console: narrowed like REST's, paged by number, exported, never changed."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.checks import check_some
from audit.events import Action, Door, Origin, Result
from tests.integration.audit_log import tamper, write
from tests.integration.console import operator, page, staff

pytestmark = pytest.mark.django_db

LIST = "/admin/audit/auditentry/"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def console():
    return operator()


def plain(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def numbers(html):
    """The numbers of the entries on a page, in its order."""
    return [int(number) for number in re.findall(rf'<a class="b" href="{LIST}(\d+)/"', html)]


def rows(console, query=""):
    response = console.get(f"{LIST}csv/{query}")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def test_an_entry_is_shown_with_who_what_how_and_why(console):
    write(actor="user:sam", origin=Origin(Door.CONSOLE, "127.0.0.1", "r-1"), reason="ticket 12")
    shown = page(console, LIST)
    assert "job retry Allowed job-7 acme user:sam via console" in plain(shown)
    assert "ticket 12" in shown
    assert 'href="/admin/jobs/job/job-7/"' in shown


def test_an_empty_log_says_what_comes_here(console):
    assert "Whatever an operator does leaves one" in page(console, LIST)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1]),
        ("action=login", [2]),
        ("result=refused", [3]),
        ("tenant=globex", [4]),
        ("actor=bob", [4, 2]),
        ("actor=bob&result=ok&action=job_retry", [4]),
        ("action=nonsense", [4, 3, 2, 1]),
        ("tenant=nobody", []),
    ],
)
def test_the_log_is_narrowed_like_that_of_rest(console, query, found):
    write(actor="alice")
    write(actor="bob", action=Action.LOGIN, target="console")
    write(actor="alice", result=Result.REFUSED)
    write(actor="bob", tenant="globex")
    assert numbers(page(console, f"{LIST}?{query}")) == found
    assert [int(row["number"]) for row in rows(console, f"?{query}")] == found


@pytest.mark.parametrize("zone", ["", "Z", "%2B00:00"])
def test_the_log_is_narrowed_to_a_time(console, zone):
    write(2)
    now = timezone.now()
    hour = timedelta(hours=1)
    before, after = (f"{time:%Y-%m-%dT%H:%M}{zone}" for time in (now - hour, now + hour))
    assert numbers(page(console, f"{LIST}?from={before}&to={after}")) == [2, 1]
    assert numbers(page(console, f"{LIST}?from={after}")) == []
    assert numbers(page(console, f"{LIST}?to={before}")) == []


def test_a_time_that_nobody_can_read_is_told_and_not_exported(console):
    write()
    assert "Nobody can read the time in “from”" in page(console, f"{LIST}?from=yesterday")
    assert console.get(f"{LIST}csv/?from=yesterday").status_code == 400


def test_the_log_goes_on_where_the_page_before_ended(console):
    write(53)
    first = page(console, LIST)
    assert numbers(first) == list(range(53, 3, -1))
    older = re.search(r'href="(\?before=\d+)"', first)
    assert older
    assert numbers(page(console, LIST + older[1])) == [3, 2, 1]


def test_the_export_is_the_whole_view_not_the_page(console):
    write(51)
    assert len(rows(console)) == 51


def test_cells_that_a_spreadsheet_would_run_are_neutralised(console):
    write(reason="=HYPERLINK(1)")
    assert rows(console)[0]["reason"] == "'=HYPERLINK(1)"


def test_an_entrys_page_shows_all_of_it_and_that_it_fits(console):
    write()
    write(details={"tasks": 3}, reason="why not", origin=Origin(Door.REST, "10.0.0.9", "req-1"))
    assert "data-every" not in page(console, f"{LIST}2/")
    shown = plain(page(console, f"{LIST}2/"))
    for part in ("job_retry", "Tasks 3", "why not", "10.0.0.9", "req-1", "it follows entry 1"):
        assert part in shown


def test_an_edited_entry_shows_that_it_does_not_fit(console):
    write(2)
    tamper("update audit_entry set reason = 'another' where number = 2")
    assert "Its hash does not match its content" in page(console, f"{LIST}2/")
    assert "it is the first" in page(console, f"{LIST}1/")


def test_the_state_of_the_chain_is_on_top(console):
    write(2)
    assert "Being checked" in page(console, LIST)
    check_some()
    assert "The chain is whole." in page(console, LIST)
    tamper("update audit_entry set reason = 'another' where number = 1")
    check_some()
    assert "The chain is broken at entry 1 : edit." in plain(page(console, LIST))


def test_what_somebody_wrote_is_escaped(console):
    write(reason=EVIL, actor=EVIL, target=EVIL)
    assert EVIL not in page(console, LIST)
    assert EVIL not in page(console, f"{LIST}1/")


@pytest.mark.parametrize(
    "query", ["before=x", "before=%D9%A3", "before=" + "9" * 40, "actor=%00", "from=%00", "to=%F0"]
)
def test_a_strange_address_is_answered_all_the_same(console, query):
    write()
    assert console.get(f"{LIST}?{query}").status_code == 200


def test_the_first_moment_of_all_is_no_error(console):
    write()
    assert console.get(f"{LIST}?from=0001-01-01T00:00%2B14:00").status_code == 200


def test_the_log_needs_its_own_permission():
    viewer = staff("jobs.view_job")
    for address in (LIST, f"{LIST}csv/", f"{LIST}1/"):
        assert viewer.get(address).status_code == 403
    assert f'href="{LIST}"' not in page(viewer, "/admin/jobs/job/")


def test_the_log_costs_as_many_statements_for_30_entries_as_for_one(console):
    def cost():
        cache.clear()
        page(console, LIST)
        with CaptureQueriesContext(connection) as asked:
            page(console, LIST)
        return len(asked)

    write()
    one = cost()
    write(29)
    assert cost() == one


def test_the_log_cannot_be_changed_from_here(console):
    write()
    for address in (LIST, f"{LIST}1/"):
        assert '<form method="post"' not in page(console, address)
