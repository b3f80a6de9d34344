"""How long a failed task waits, and by whose limits."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.actors import LOCAL_OPERATOR
from jobs import keeper, ticketer
from jobs.actions import control
from jobs.models import DeadLetter, Delayed, Job
from jobs.transitions.sql import execute, fetch
from tests.integration.scenario import failure, register, statuses, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def test_a_failed_task_is_not_due_before_its_backoff_is_over():
    submit_echo(1)
    worker = register()
    (task,) = worker.claim()
    worker.settle(failure(task, "rate_limited")._replace(retry_after_seconds=60.0))
    due = Delayed.objects.get().due_at - timezone.now()
    assert 50 < due.total_seconds() <= 60
    assert ticketer.move_due() == 0


def test_the_time_of_a_backoff_does_not_count_as_waiting_for_a_worker():
    job = submit_echo(1)
    worker = register()
    Job.objects.filter(pk=job.pk).update(
        schedule_to_start_seconds=30, created_at=job.created_at - timedelta(minutes=5)
    )
    execute("update task set queued_at = now() - interval '5 minutes'")
    (task,) = worker.claim()
    worker.settle(failure(task, "rate_limited")._replace(retry_after_seconds=60.0))
    assert fetch("select queued_at - now() > interval '50 seconds' from task") == [(True,)]
    assert keeper.bury_overdue() == 0


def test_a_failure_is_judged_by_the_limits_of_its_own_job():
    submit_echo(1, owner="alice")
    execute("update job set schedule_to_close_seconds = 0.1")
    job = submit_echo(1, owner="bob")
    worker = register()
    worker.fail(worker.claim(2), "transient")
    assert statuses(job) == ["Queued"]
    assert DeadLetter.objects.get().error_code == "schedule_to_close_exceeded"


def test_a_backoff_outlasts_a_suspension():
    job = submit_echo(1)
    worker = register()
    (task,) = worker.claim()
    worker.settle(failure(task, "rate_limited")._replace(retry_after_seconds=60.0))
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    control.resume_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert ticketer.move_due() == 0
    assert worker.claim() == []
