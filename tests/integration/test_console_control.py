"""What staff does to jobs: one confirm page with a reason, one action, one audit entry."""

import pytest

from audit.models import AuditEntry
from jobs.models import JobEvent
from tests.integration.console import operator, staff, text
from tests.integration.scenario import register, reloaded, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def console():
    return operator()


def address(job, move=""):
    return f"/admin/jobs/job/job-{job.pk}/{move}"


def ask(console, job, move, reason="because of ticket 12"):
    return console.post(address(job, f"{move}/"), {"reason": reason})


def failed_job():
    job, hand = submit_echo(1), register()
    hand.fail(hand.claim(1))
    return reloaded(job)


@pytest.mark.parametrize(("move", "status"), [("cancel", "Cancelled"), ("suspend", "Suspended")])
def test_an_open_job_is_cancelled_or_suspended(console, move, status):
    job = submit_echo(2)
    assert ask(console, job, move)["Location"] == address(job)
    assert reloaded(job).status == status


def test_a_suspended_job_is_resumed(console):
    job = submit_echo(2)
    ask(console, job, "suspend")
    ask(console, job, "resume")
    assert reloaded(job).status == "Pending"


def test_a_failed_job_is_retried(console):
    job = failed_job()
    ask(console, job, "retry")
    assert (reloaded(job).status, reloaded(job).generation) == ("Running", 2)


def test_the_page_afterwards_says_what_was_done(console):
    job = failed_job()
    ask(console, job, "retry")
    assert f"job-{job.pk} was opened again, 1 tasks are queued again." in text(
        console.get(address(job))
    )


def test_to_look_at_the_confirm_page_changes_nothing(console):
    job = submit_echo(1)
    page = console.get(address(job, "cancel/"))
    assert "Back, change nothing" in text(page)
    assert f"Cancel job-{job.pk}" in text(page)
    assert reloaded(job).status == "Pending"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_usable_reason_nothing_is_done(console, reason):
    job = submit_echo(1)
    page = ask(console, job, "cancel", reason)
    assert page.status_code == 400
    assert 'aria-invalid="true"' in text(page)
    assert reloaded(job).status == "Pending"


def test_a_null_character_in_a_reason_is_refused(console):
    job = submit_echo(1)
    assert ask(console, job, "cancel", "a\0b").status_code == 400


def test_an_action_leaves_one_audit_entry_with_name_door_and_reason(console):
    job = submit_echo(1)
    ask(console, job, "cancel")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result, entry.door) == ("job_cancel", "ok", "console")
    assert (entry.actor, entry.target) == ("user:operator", f"job-{job.pk}")
    assert entry.reason == "because of ticket 12"
    assert entry.address == "127.0.0.1"
    assert entry.request_id


def test_the_jobs_history_names_the_person(console):
    job = submit_echo(1)
    ask(console, job, "suspend")
    assert JobEvent.objects.get(kind="suspended").actor == "user:operator"


def test_what_comes_too_late_is_told_and_recorded_as_refused(console):
    job = failed_job()
    ask(console, job, "suspend")
    assert "only an open job can be suspended" in text(console.get(address(job)))
    assert AuditEntry.objects.get().result == "refused"


def test_a_page_offers_only_what_can_be_done(console):
    shown = text(console.get(address(failed_job())))
    assert "/retry/" in shown
    assert "/suspend/" not in shown
    assert "/cancel/" not in shown


def test_the_confirm_page_of_what_cannot_be_done_has_no_button(console):
    shown = text(console.get(address(failed_job(), "suspend/")))
    assert "cannot be done" in shown
    assert 'name="reason"' not in shown


def test_an_unknown_move_is_not_there(console):
    assert console.get(address(submit_echo(1), "delete/")).status_code == 404


def test_who_may_only_look_sees_no_buttons_and_is_refused():
    job, viewer = submit_echo(1), staff("jobs.view_job")
    assert "/cancel/" not in text(viewer.get(address(job)))
    response = ask(viewer, job, "cancel")
    assert response.status_code == 403
    assert "jobs.change_job" in text(response)
    assert reloaded(job).status == "Pending"
    assert not AuditEntry.objects.exists()


def test_leave_to_change_jobs_does_not_stand_in_for_leave_to_see_them():
    job = submit_echo(1)
    assert ask(staff("jobs.change_job"), job, "cancel").status_code == 403
    assert reloaded(job).status == "Pending"


def test_a_move_needs_the_form_of_its_own_page(console):
    job = submit_echo(1)
    console.handler.enforce_csrf_checks = True
    assert ask(console, job, "cancel").status_code == 403
    assert reloaded(job).status == "Pending"
