"""The audit log: what an entry keeps, and that it stays."""

import logging
import threading

import pytest
from django.db import DatabaseError, connection, transaction

from audit import recorder
from audit.chain import GENESIS, Head
from audit.events import INTERNAL, Action, Door, Origin, Result
from audit.integrity import examine, verify_chain
from audit.models import AuditEntry
from tests.integration.audit_log import stored, write

pytestmark = pytest.mark.django_db


def test_the_first_entry_has_number_one_and_follows_the_genesis():
    assert write() == 1
    assert stored(1).prev_hash == GENESIS


def test_each_entry_follows_the_one_before():
    write(3)
    assert [stored(n).prev_hash for n in (2, 3)] == [stored(1).hash, stored(2).hash]
    assert examine() == (Head(3, stored(3).hash), None)


def test_an_entry_keeps_who_did_what_from_where():
    origin = Origin(Door.REST, "192.0.2.7", "r-1")
    write(origin=origin, reason="stuck", details={"tasks": 3})
    entry = stored(1)
    assert (entry.actor, entry.action, entry.result) == ("alice", "job_retry", "ok")
    assert (entry.door, entry.address, entry.request_id) == ("rest", "192.0.2.7", "r-1")
    assert (entry.tenant, entry.target, entry.reason) == ("acme", "job-7", "stuck")
    assert entry.details == '{"tasks":3}'


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_a_transaction():
    with pytest.raises(transaction.TransactionManagementError):
        recorder.record(
            action=Action.JOB_CANCEL,
            result=Result.OK,
            actor="alice",
            origin=INTERNAL,
            target="job-7",
        )


@pytest.mark.parametrize("details", [{"input": "text"}, {"tasks": [1]}, {"tasks": {"a": 1}}])
def test_undeclared_details_and_payloads_are_refused(details):
    with pytest.raises(ValueError, match="details"):
        write(details=details)
    assert not AuditEntry.objects.exists()


def test_text_that_postgres_cannot_keep_is_recorded_all_the_same():
    write(reason="a\0b\ud800" + "x" * 1000, actor="=cmd\r\n" * 50)
    assert stored(1).reason.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert verify_chain() is None


def test_the_head_is_logged_after_the_commit(caplog, django_capture_on_commit_callbacks):
    with (
        caplog.at_level(logging.INFO, logger="audit.recorder"),
        django_capture_on_commit_callbacks(execute=True),
    ):
        write()
    assert f"audit head {recorder.head()}" in caplog.text


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set reason = ''",
        "delete from audit_entry",
        "truncate audit_entry",
        "update audit_entry set reason = '' where false",
    ],
)
def test_the_log_is_append_only_for_its_owner_too(statement):
    write()
    refused = pytest.raises(DatabaseError, match="append-only")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert verify_chain(head=recorder.head()) is None


@pytest.mark.django_db(transaction=True)
def test_eight_threads_leave_one_unbroken_chain():
    threads = [threading.Thread(target=_write_and_close, args=(25,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert AuditEntry.objects.count() == 200
    assert examine() == (Head(200, stored(200).hash), None)


def _write_and_close(count):
    try:
        write(count)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_fails_after_the_record_leaves_no_entry_and_no_gap():
    class Killed(Exception):
        pass

    def write_and_fail():
        with transaction.atomic():
            write()
            raise Killed

    write()
    with pytest.raises(Killed):
        write_and_fail()
    assert write() == 2
    assert verify_chain() is None
