"""``manage.py audit_verify`` and ``audit_export``."""

import csv
import hashlib
import io
import json

import pytest
from django.core.management import CommandError, call_command

from audit import checks, recorder
from audit.chain import Entry, parse_head
from audit.events import Action, Result
from audit.export import neutral
from tests.integration.audit_log import stored, tamper, write

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\na", "\0", " =1", "＝1"]
)
def test_a_cell_that_a_spreadsheet_would_run_begins_with_a_quote(cell):
    assert neutral(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "  ", "job-7", "a=1", "2026-01-31"])
def test_other_cells_stay_as_they_are(cell):
    assert neutral(cell) == cell


def run(name, *arguments):
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_the_export_is_csv_with_neutral_cells():
    write(reason='=HYPERLINK("x")\r\n,', details={"tasks": 1})
    header, row = csv.reader(io.StringIO(run("audit_export"), newline=""))
    cells = dict(zip(header, row, strict=True))
    assert header == list(Entry._fields)
    assert cells["reason"] == '\'=HYPERLINK("x")\r\n,'
    assert (cells["number"], cells["details"]) == ("1", '{"tasks":1}')
    assert cells["happened_at"].endswith("Z")


def test_the_export_takes_filters():
    write(actor="alice")
    write(actor="bob", action=Action.JOB_CANCEL, result=Result.REFUSED, tenant="other")
    for option in ("--actor=bob", "--action=job_cancel", "--result=refused", "--tenant=other"):
        assert [row[0] for row in csv.reader(run("audit_export", option).splitlines())][1:] == ["2"]


def test_the_export_takes_a_span_of_time():
    write(2)
    moment = stored(2).happened_at.isoformat()
    ahead = run("audit_export", f"--to={moment}").splitlines()
    behind = run("audit_export", f"--from={moment}").splitlines()
    assert [line[:3] for line in ahead[1:]] == ['"1"']
    assert [line[:3] for line in behind[1:]] == ['"2"']


def test_the_export_refuses_a_time_it_cannot_read():
    with pytest.raises(CommandError, match="2026-01-31T08:00:00Z"):
        run("audit_export", "--from=yesterday")


def test_the_verify_command_tells_the_head_that_it_takes_later():
    write(3)
    said = run("audit_verify")
    assert said == f"whole: 3 entries, head {recorder.head()}\n"
    head = said.split()[-1]
    assert parse_head(head) == recorder.head()
    write()
    assert run("audit_verify", "--head", head).startswith("whole: 4 entries")


def test_the_verify_command_fails_on_a_breach():
    write(3)
    tamper("update audit_entry set actor = 'mallory' where number = 2")
    with pytest.raises(CommandError, match="edit: entry 2") as raised:
        run("audit_verify")
    assert raised.value.returncode == 1


def test_the_verify_command_answers_json():
    write(2)
    assert json.loads(run("audit_verify", "--json")) == {
        "verified_through": 2,
        "head": str(recorder.head()),
        "broken": None,
    }


@pytest.mark.parametrize("head", ["", "3", "0:" + "0" * 64, "1:xyz", "1:" + "A" * 64])
def test_a_head_that_cannot_be_read_is_refused_with_its_form(head):
    with pytest.raises(CommandError, match="--head: a head reads N:HASH") as raised:
        run("audit_verify", "--head", head)
    assert raised.value.returncode == 2


def test_the_verify_command_may_go_on_behind_what_was_checked_before():
    write(3)
    checks.check_some()
    tamper("update audit_entry set actor = 'mallory' where number = 2")
    write()
    assert run("audit_verify", "--incremental").startswith("whole: 4 entries")
    with pytest.raises(CommandError, match="edit: entry 2"):
        run("audit_verify")


def test_a_cut_end_shows_against_the_head_that_is_expected():
    write(3)
    head = str(recorder.head())
    tamper("delete from audit_entry where number = 3")
    with pytest.raises(CommandError, match="truncate: the log ends before entry 3"):
        run("audit_verify", "--expect-head", head)


def test_the_export_as_json_lets_each_hash_be_computed_again():
    write(2, reason="=é")
    lines = [json.loads(line) for line in run("audit_export", "--json").splitlines()]
    assert [line["number"] for line in lines] == [1, 2]
    hashes = [line.pop("hash") for line in lines]
    for line, expected in zip(lines, hashes, strict=True):
        text = json.dumps(line, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == expected
