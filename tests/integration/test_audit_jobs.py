"""Operators' actions on jobs and their one audit entry, through every door."""

import pytest

from access.actors import LOCAL_OPERATOR, Actor
from audit import recorder
from audit.integrity import verify_chain
from audit.models import AuditEntry
from jobs.actions import control
from jobs.errors import NotFound, StateConflict
from jobs.models import JobEvent
from tests.integration.gateway import Gateway
from tests.integration.scenario import (
    failure,
    register,
    reloaded,
    statuses,
    submit_echo,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

TENANT = Actor("token-1", frozenset({"tenant:acme"}))


def entries():
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("action", "result", "target", "tenant", "details"))


def cancel(job, actor=LOCAL_OPERATOR):
    control.cancel_job(job_id=job.pk, actor=actor)


def suspend(job, actor=LOCAL_OPERATOR):
    control.suspend_job(job_id=job.pk, actor=actor)


def resume(job, actor=LOCAL_OPERATOR):
    control.resume_job(job_id=job.pk, actor=actor)


def retry(job, actor=LOCAL_OPERATOR):
    return control.retry_job(job_id=job.pk, actor=actor)


@pytest.fixture
def job():
    return submit_echo(1, owner="acme")


@pytest.fixture
def failed(job):
    worker = register()
    worker.settle(*(failure(task, "permanent") for task in worker.claim(1)))
    return job


@pytest.mark.parametrize(("action", "name"), [(cancel, "job_cancel"), (suspend, "job_suspend")])
def test_an_operators_action_leaves_one_entry(job, action, name):
    action(job)
    assert entries() == [(name, "ok", f"job-{job.pk}", "acme", "{}")]


def test_a_resume_leaves_one_entry(job):
    suspend(job)
    resume(job)
    assert [entry[:2] for entry in entries()] == [("job_suspend", "ok"), ("job_resume", "ok")]


def test_a_retry_tells_how_many_tasks_it_reopened(failed):
    assert retry(failed) == 1
    assert entries() == [("job_retry", "ok", f"job-{failed.pk}", "acme", '{"tasks":1}')]


@pytest.mark.parametrize("action", [cancel, suspend])
def test_a_repeated_action_that_changes_nothing_leaves_no_second_entry(job, action):
    action(job)
    action(job)
    assert len(entries()) == 1


@pytest.mark.parametrize("action", [resume, retry])
def test_an_action_with_nothing_to_change_leaves_no_entry(job, action):
    action(job)
    assert entries() == []


@pytest.mark.parametrize(
    ("action", "name"), [(suspend, "job_suspend"), (resume, "job_resume"), (retry, "job_retry")]
)
def test_a_refused_action_leaves_one_entry_that_says_so(job, action, name):
    cancel(job)
    with pytest.raises(StateConflict):
        action(job)
    refused = (name, "refused", f"job-{job.pk}", "acme", '{"code":"state_conflict"}')
    assert entries()[1:] == [refused]


def test_a_job_that_is_not_there_is_a_refusal():
    with pytest.raises(NotFound):
        control.cancel_job(job_id=999_999, actor=LOCAL_OPERATOR)
    assert entries() == [("job_cancel", "refused", "job-999999", "", '{"code":"not_found"}')]


def test_tenants_own_actions_are_in_the_jobs_events_only(failed):
    retry(failed, TENANT)
    suspend(failed, TENANT)
    resume(failed, TENANT)
    cancel(failed, TENANT)
    with pytest.raises(StateConflict):
        suspend(failed, TENANT)
    assert entries() == []
    assert JobEvent.objects.filter(job_id=failed.pk, actor="token-1").count() == 4


class Killed(Exception):
    """Stands for whatever ends a transaction after its audit entry."""


@pytest.mark.parametrize("action", [cancel, suspend, resume, retry])
def test_what_fails_after_the_record_leaves_neither_change_nor_ok(failed, action, monkeypatch):
    retry(failed, TENANT)
    if action is resume:
        suspend(failed, TENANT)
    if action is retry:
        worker = register()
        worker.settle(*(failure(task, "permanent") for task in worker.claim(1)))
    before = (reloaded(failed).status, statuses(failed), JobEvent.objects.count())
    record = recorder.record

    def record_and_fail(**told):
        record(**told)
        if told["result"] == "ok":
            raise Killed

    monkeypatch.setattr("access.actions.audited.record", record_and_fail)
    with pytest.raises(Killed):
        action(failed)
    assert (reloaded(failed).status, statuses(failed), JobEvent.objects.count()) == before
    assert [entry[1] for entry in entries()] == ["error"]


@pytest.mark.parametrize("verb", ["cancel", "suspend"])
def test_rest_hands_its_address_and_request_id_on(job, verb):
    gateway = Gateway()
    response = gateway.post(f"/v1/jobs/job-{job.pk}/{verb}", b"")
    assert response.status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.door, entry.address) == ("local", "rest", "127.0.0.1")
    assert entry.request_id == response["X-Request-Id"]


def test_the_chain_stays_whole_over_many_kinds_of_entries(failed):
    retry(failed)
    suspend(failed)
    resume(failed)
    cancel(failed)
    with pytest.raises(StateConflict):
        retry(failed)
    assert len(entries()) == 5
    assert verify_chain() is None
