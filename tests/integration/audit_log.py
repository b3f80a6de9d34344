"""Entries of the audit log for tests, and ways to tamper with them."""

from django.db import connection, transaction

from audit import recorder
from audit.chain import Entry
from audit.events import INTERNAL, Action, Result
from audit.models import AuditEntry


def write(count=1, **changes):
    """Entries in transactions of their own; returns the last one's number."""
    told = {
        "action": Action.JOB_RETRY,
        "result": Result.OK,
        "actor": "alice",
        "origin": INTERNAL,
        "target": "job-7",
        "tenant": "acme",
        **changes,
    }
    for _ in range(count):
        with transaction.atomic():
            number = recorder.record(**told)
    return number


def tamper(*statements):
    """Change the log as someone could who may switch triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("set local session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("set local session_replication_role = origin")


def stored(number):
    return Entry._make(AuditEntry.objects.values_list(*Entry._fields).get(number=number))


def insert(entry):
    tamper(f"delete from audit_entry where number = {entry.number}")
    AuditEntry.objects.create(**entry._asdict())


def make_room_at(number):
    """Number the entries from here on one higher."""
    tamper(
        f"update audit_entry set number = number + 1000 where number >= {number}",
        "update audit_entry set number = number - 999 where number > 1000",
    )
