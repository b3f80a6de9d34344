"""Taking a worker out of service in the console: one confirm page, one action, one audit entry."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from jobs.actions import fleet
from jobs.models import Worker
from tests.integration.console import operator, page, plain, staff, text
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def console():
    return operator()


def address(hand, then=""):
    return f"/admin/jobs/worker/{hand.worker.pk}/{then}"


def drain(client, hand, reason="new kernel"):
    return client.post(address(hand, "drain/"), {"reason": reason})


def state(hand):
    return Worker.objects.get(pk=hand.worker.pk).state


def test_a_worker_is_drained_and_one_entry_says_who_and_why(console):
    hand = register()
    assert drain(console, hand)["Location"] == address(hand)
    assert state(hand) == "Draining"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result) == ("worker_drain", "ok")
    assert (entry.actor, entry.door, entry.reason) == ("user:operator", "console", "new kernel")
    assert entry.target == f"worker-{hand.worker.pk}"


def test_the_page_afterwards_says_what_is_left(console):
    submit_echo(3)
    hand = register(slots=4)
    hand.claim(3)
    drain(console, hand)
    shown = text(console.get(address(hand)))
    assert "alice takes no new tasks; 3 left." in shown
    assert 'title="Draining"' in shown


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_without_a_good_reason_nothing_is_drained(console, reason):
    hand = register()
    assert drain(console, hand, reason).status_code == 400
    assert state(hand) == "Active"
    assert not AuditEntry.objects.exists()


def test_to_look_at_the_confirm_page_changes_nothing(console):
    hand = register()
    page(console, address(hand, "drain/"))
    assert state(hand) == "Active"


def test_the_confirm_page_says_what_the_pool_keeps(console):
    submit_echo(2)
    hand = register(slots=8)
    register(slots=16)
    hand.claim(2)
    shown = plain(page(console, address(hand, "drain/")))
    assert "Holds 2 tasks" in shown
    assert "keeps 16 of 24 slots, 1 of 2 workers" in shown
    assert "last worker" not in shown


def test_the_confirm_page_warns_before_the_last_worker_of_a_pool_goes(console):
    submit_echo(5)
    shown = plain(page(console, address(register(), "drain/")))
    assert "It is the last worker of the pool default. The 5 tasks that wait there" in shown


def test_a_silent_worker_does_not_count_among_those_that_stay(console):
    hand, silent = register(), register()
    Worker.objects.filter(pk=silent.worker.pk).update(
        heartbeat_at=timezone.now() - timedelta(hours=1)
    )
    assert "It is the last worker" in plain(page(console, address(hand, "drain/")))


def test_a_worker_that_drains_or_has_left_is_not_offered_it(console):
    draining, left = register(), register()
    drain(console, draining)
    fleet.deregister(left.worker)
    for hand, said in ((draining, "It drains already"), (left, "It has left")):
        shown = text(console.get(address(hand, "drain/")))
        assert said in shown
        assert 'name="reason"' not in shown
        assert "Drain…" not in page(console, address(hand))


def test_what_comes_too_late_is_told_and_recorded_as_refused(console):
    hand = register()
    fleet.deregister(hand.worker)
    drain(console, hand)
    assert "has left; there is nothing to drain" in page(console, address(hand))
    assert AuditEntry.objects.get().result == "refused"


def test_who_may_only_look_sees_no_button_and_is_refused():
    hand, viewer = register(), staff("jobs.view_worker")
    assert "/drain/" not in page(viewer, address(hand))
    assert "/drain/" not in page(viewer, "/admin/jobs/worker/")
    response = drain(viewer, hand)
    assert response.status_code == 403
    assert "jobs.change_worker" in text(response)
    assert state(hand) == "Active"


def test_leave_to_drain_workers_does_not_stand_in_for_leave_to_see_them():
    hand = register()
    assert drain(staff("jobs.change_worker"), hand).status_code == 403
    assert state(hand) == "Active"


def test_the_list_leads_to_the_confirm_page_of_each_worker_that_takes_tasks(console):
    active, draining = register(), register()
    drain(console, draining)
    shown = page(console, "/admin/jobs/worker/")
    assert address(active, "drain/") in shown
    assert address(draining, "drain/") not in shown


def test_a_drain_needs_the_form_of_its_own_page(console):
    hand = register()
    console.handler.enforce_csrf_checks = True
    assert drain(console, hand).status_code == 403
    assert state(hand) == "Active"


def test_what_agents_call_themselves_is_escaped(console):
    evil = "<script>alert(1)</script>"
    hand = register()
    Worker.objects.update(name=evil, node=evil)
    for then in ("", "drain/"):
        assert evil not in page(console, address(hand, then))
    drain(console, hand)
    assert evil not in page(console, address(hand))
