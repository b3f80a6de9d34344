"""The audit log's chain: every kind of tampering is found and named."""

import time
from datetime import datetime

import pytest
from django.db import connection

from audit import recorder
from audit.chain import GENESIS, Entry, Head, digest, sealed
from audit.integrity import Tampering, examine, verify_chain
from audit.models import AuditEntry
from tests.integration.audit_log import insert, make_room_at, stored, tamper, write

pytestmark = pytest.mark.django_db


def found(**where):
    finding = verify_chain(**where)
    return finding and (finding.kind, finding.entry)


def test_an_empty_log_is_whole():
    assert verify_chain() is None


@pytest.mark.parametrize("column", ["actor", "reason", "details", "result", "hash", "prev_hash"])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_an_edited_entry_is_named(column, number):
    write(5)
    value = "0" * 63 + "1" if column in {"hash", "prev_hash"} else "other"
    tamper(f"update audit_entry set {column} = '{value}' where number = {number}")
    assert found() == (Tampering.EDIT, number)


def test_an_entry_that_was_edited_and_sealed_anew_is_named():
    write(5)
    insert(sealed(stored(3)._replace(actor="mallory")))
    assert found() == (Tampering.EDIT, 3)


def test_a_log_written_anew_to_its_end_shows_against_the_kept_head():
    write(5)
    head = recorder.head()
    for number in (4, 5):
        changed = stored(number)._replace(actor="mallory", prev_hash=stored(number - 1).hash)
        insert(sealed(changed))
    assert found() is None
    assert found(head=head) == (Tampering.EDIT, 5)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_deleted_entry_is_named(number):
    write(5)
    tamper(f"delete from audit_entry where number = {number}")
    assert found() == (Tampering.DELETE, number)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_deleted_entry_is_named_after_the_rest_was_numbered_anew(number):
    write(5)
    tamper(
        f"delete from audit_entry where number = {number}",
        f"update audit_entry set number = number - 1 + 1000 where number > {number}",
        "update audit_entry set number = number - 1000 where number >= 1000",
    )
    assert found() == (Tampering.DELETE, number)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 3), (1, 5), (2, 4), (4, 5)])
def test_entries_that_changed_places_are_named(one, other):
    write(5)
    tamper(
        f"update audit_entry set number = 1000 where number = {one}",
        f"update audit_entry set number = {one} where number = {other}",
        f"update audit_entry set number = {other} where number = 1000",
    )
    assert found() == (Tampering.REORDER, one)


def test_an_entry_that_was_moved_to_the_end_is_named():
    write(5)
    tamper("update audit_entry set number = 6 where number = 2")
    assert found() == (Tampering.REORDER, 2)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_an_inserted_entry_is_named(number):
    write(5)
    forged = stored(number)._replace(actor="mallory")
    make_room_at(number)
    AuditEntry.objects.create(**sealed(forged)._asdict())
    assert found() == (Tampering.INSERT, number)


@pytest.mark.parametrize("changes", [{"hash": "1" * 64}, {"prev_hash": "1" * 64}])
def test_an_inserted_entry_without_a_right_hash_or_link_is_named(changes):
    write(5)
    forged = sealed(stored(3)._replace(actor="mallory"))._replace(**changes)
    make_room_at(3)
    AuditEntry.objects.create(**forged._asdict())
    assert found() == (Tampering.INSERT, 3)


@pytest.mark.parametrize("left", [0, 3])
def test_a_cut_end_shows_against_the_kept_head(left):
    write(5)
    head = recorder.head()
    tamper(f"delete from audit_entry where number > {left}")
    assert found() is None
    assert found(head=head) == (Tampering.TRUNCATE, 5)


def test_a_walk_from_a_verified_entry_looks_only_behind_it():
    write(5)
    start = examine().through
    write(2)
    tamper("update audit_entry set actor = 'mallory' where number = 2")
    assert examine(start=start).through.number == 7
    assert found() == (Tampering.EDIT, 2)


def test_a_start_that_is_not_there_any_more_is_a_breach():
    write(5)
    start = recorder.head()
    tamper("delete from audit_entry where number > 3")
    assert found(start=start) == (Tampering.TRUNCATE, 5)


def test_another_program_computes_the_same_hash_from_the_documented_text():
    fixed = Entry(
        number=1,
        happened_at=datetime.fromisoformat("2026-01-31T09:00:00+01:00"),
        action="job_retry",
        result="ok",
        actor="Zoë",
        door="rest",
        tenant="acme",
        target="job-7",
        reason='say "x"',
        address="",
        request_id="",
        details='{"tasks":3}',
        prev_hash=GENESIS,
        hash="",
    )
    # printf '%s' '{"action":…}' | sha256sum
    assert digest(fixed) == "e148467e910ac592e3dfdf3736bf1d6f6aab2a86d39e3b40948ae4376886ae76"


@pytest.mark.slow
def test_a_hundred_thousand_entries_verify_in_one_pass():
    write()
    entries, last = [], stored(1)
    for number in range(2, 100_001):
        last = sealed(last._replace(number=number, prev_hash=last.hash))
        entries.append(last)
    with connection.cursor() as cursor:
        with cursor.copy("copy audit_entry from stdin") as copy:
            for entry in entries:
                copy.write_row(entry)
        cursor.execute("analyze audit_entry")
    began = time.monotonic()
    assert examine() == (Head(100_000, last.hash), None)
    assert time.monotonic() - began <= 10
