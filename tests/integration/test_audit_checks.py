"""The audit log checks itself: what is new, what is old, and what somebody did to either."""

import threading

import pytest

from audit import checks
from audit.integrity import Tampering
from jobs import auditor
from tests.integration.audit_log import stored, tamper, write
from tests.integration.overlap import overlapping

pytestmark = pytest.mark.django_db


def known():
    """The breach that is known after another pass."""
    checks.check_some()
    return checks.status().broken


def test_an_empty_log_is_whole_and_nothing_is_verified_yet():
    assert known() is None
    state = checks.status()
    assert (state.entries, state.verified_through) == (0, 0)


def test_a_pass_verifies_what_came_since_the_last_one():
    write(3)
    checks.check_some()
    assert checks.status().verified_through == 3
    write(2)
    assert checks.status().verified_through == 3
    checks.check_some()
    state = checks.status()
    assert (state.verified_through, state.entries, state.broken) == (5, 5, None)
    assert state.verified_at is not None
    assert str(state.head) == f"5:{stored(5).hash}"


def test_a_pass_is_bounded_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(checks, "NEW_ENTRIES", 2)
    write(5)
    for through in (2, 4, 5):
        checks.check_some()
        assert checks.status().verified_through == through


@pytest.mark.parametrize(
    ("statement", "kind", "entry"),
    [
        ("update audit_entry set actor = 'mallory' where number = 2", Tampering.EDIT, 2),
        ("delete from audit_entry where number = 3", Tampering.DELETE, 3),
        ("delete from audit_entry where number > 3", Tampering.TRUNCATE, 5),
    ],
)
def test_what_is_done_to_old_entries_is_found_by_the_walk(monkeypatch, statement, kind, entry):
    monkeypatch.setattr(checks, "OLD_ENTRIES", 2)
    write(5)
    assert known() is None
    tamper(statement)
    assert {known() for _ in range(4)} >= {(entry, kind)}
    assert known() == (entry, kind)


def test_a_breach_among_new_entries_stops_the_mark_before_it():
    write(2)
    checks.check_some()
    write(3)
    tamper("update audit_entry set reason = 'other' where number = 4")
    assert known() == (4, Tampering.EDIT)
    assert checks.status().verified_through == 3
    assert checks.check_some() == {"breaches of the audit log": 2}


def test_a_breach_that_was_mended_from_a_backup_is_forgotten():
    write(3)
    checks.check_some()
    tamper("update audit_entry set actor = 'mallory' where number = 2")
    assert known() == (2, Tampering.EDIT)
    tamper("update audit_entry set actor = 'alice' where number = 2")
    assert known() is None


def test_the_walk_comes_to_the_end_and_begins_anew(monkeypatch):
    monkeypatch.setattr(checks, "OLD_ENTRIES", 2)
    write(3)
    checks.check_some()
    assert checks.status().walked_at is None
    checks.check_some()
    assert checks.status().walked_at is not None
    tamper("update audit_entry set actor = 'mallory' where number = 1")
    assert known() == (1, Tampering.EDIT)


@pytest.mark.django_db(transaction=True)
def test_of_two_passes_at_once_one_leaves_it_to_the_other():
    write(3)
    checks.check_some()
    told = []
    assert not overlapping(
        lambda: checks._turn(),
        lambda: told.append(checks.check_some()),
    )
    assert told == [{}]


@pytest.mark.django_db(transaction=True)
def test_the_controller_makes_the_passes():
    write(2)
    stop = _After(1)
    auditor.run_forever(stop)
    assert checks.status().verified_through == 2


class _After(threading.Event):
    """Stops a controller's loop after so many passes."""

    def __init__(self, passes):
        super().__init__()
        self.passes = passes

    def is_set(self):
        self.passes -= 1
        return self.passes < 0

    def wait(self, timeout=None):
        return False
