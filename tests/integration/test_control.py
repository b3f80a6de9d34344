"""Cancel, suspend, resume and retry of jobs."""

import pytest

from access.actors import LOCAL_OPERATOR
from jobs import keeper, ticketer
from jobs.actions import control
from jobs.actions.settle import SettleStatus
from jobs.errors import StateConflict
from jobs.models import DeadLetter, Delayed, JobEvent, JobStage, Lease, Ready, Task
from tests.integration.scenario import (
    failure,
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_pipeline,
    success,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def cancel(job):
    control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)


def test_a_cancelled_job_ends_its_waiting_and_running_tasks():
    job = submit_echo(3)
    register().claim(1)
    cancel(job)
    assert set(statuses(job)) == {"Cancelled"}
    assert (reloaded(job).status, reloaded(job).reason) == ("Cancelled", "Cancelled")
    assert not Ready.objects.exists()
    assert not Lease.objects.exists()


def test_a_cancelled_job_ends_also_what_would_have_followed_its_running_task():
    job = submit_pipeline({"name": "a"}, {"name": "b", "collects": ["a"]})
    register().claim(1)
    cancel(job)
    assert statuses(job) == ["Cancelled", "Cancelled"]
    assert reloaded(job).status == "Cancelled"


def test_cancelling_twice_changes_nothing():
    job = submit_echo(1)
    cancel(job)
    ended = reloaded(job).finished_at
    cancel(job)
    assert reloaded(job).finished_at == ended
    assert JobEvent.objects.filter(job_id=job.pk, kind="cancel_requested").count() == 1


def test_a_result_that_comes_after_the_cancel_is_fenced():
    job = submit_echo(1)
    worker = register()
    claimed = worker.claim()
    cancel(job)
    assert worker.succeed(claimed)[0].status == SettleStatus.FENCED
    assert statuses(job) == ["Cancelled"]


def test_a_worker_learns_of_a_cancel_by_its_heartbeat():
    job = submit_echo(1)
    worker = register()
    claimed = worker.claim()
    cancel(job)
    assert [share.task_id for share in worker.beat(claimed).gone] == [claimed[0].id]


def test_a_suspended_job_gives_out_no_tasks_and_lets_running_ones_finish():
    job = submit_echo(2)
    worker = register()
    claimed = worker.claim(1)
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert worker.claim(1) == []
    assert worker.succeed(claimed)[0].status == SettleStatus.APPLIED
    assert reloaded(job).status == "Suspended"


def test_a_resumed_job_goes_on():
    job = submit_echo(2)
    worker = register()
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert Delayed.objects.count() == 2
    control.resume_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    ticketer.move_due()
    assert reloaded(job).status == "Pending"
    worker.succeed(worker.claim(2))
    assert reloaded(job).status == "Succeeded"


def test_an_ended_job_can_not_be_suspended():
    job = submit_echo(1)
    cancel(job)
    with pytest.raises(StateConflict):
        control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)


def test_a_retry_runs_dead_letters_again_as_a_new_generation():
    job = submit_echo(2)
    worker = register()
    first, second = worker.claim(2)
    worker.settle(failure(first), success(second))
    assert control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR) == 1
    assert (reloaded(job).generation, reloaded(job).finished_at) == (2, None)
    assert not DeadLetter.objects.exists()
    (again,) = worker.claim(2)
    assert (again.id, again.generation, again.attempt) == (first.id, 2, 1)
    assert again.epoch > first.epoch
    worker.succeed([again])
    assert reloaded(job).status == "Succeeded"


def test_a_retry_blocks_what_was_cancelled_for_a_dependency_and_collectors_that_had_ended():
    job = submit_pipeline(
        {"name": "a"},
        {"name": "b", "needs": ["a"]},
        {"name": "c", "collects": ["a"]},
    )
    worker = register()
    worker.fail(worker.claim(1))
    worker.succeed(worker.claim(5))
    assert statuses(job) == ["DeadLettered", "Cancelled", "Succeeded"]
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert statuses(job) == ["Queued", "Blocked", "Blocked"]
    worker.succeed(worker.claim(5))
    worker.succeed(worker.claim(5))
    assert set(statuses(job)) == {"Succeeded"}
    assert reloaded(job).status == "Succeeded"
    stages = JobStage.objects.filter(job_id=job.pk)
    assert (sum(s.open for s in stages), sum(s.succeeded for s in stages)) == (0, 3)


def test_of_dead_letters_that_hang_on_each_other_only_the_first_runs_at_once():
    job = submit_pipeline({"name": "a"}, {"name": "b", "collects": ["a"]})
    worker = register()
    worker.fail(worker.claim())
    worker.fail(worker.claim())
    assert control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR) == 2
    assert statuses(job) == ["Queued", "Blocked"]
    assert not DeadLetter.objects.exists()


def test_a_retry_without_dead_letters_does_nothing():
    job = submit_echo(1)
    assert control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR) == 0
    assert reloaded(job).generation == 1


def test_a_cancelled_job_can_not_be_retried():
    job = submit_echo(1)
    cancel(job)
    with pytest.raises(StateConflict):
        control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)


def test_the_attempts_of_earlier_generations_stay_on_record():
    job = submit_echo(1)
    worker = register()
    worker.fail(worker.claim())
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    worker.succeed(worker.claim())
    from jobs.models import Attempt

    assert list(Attempt.objects.order_by("epoch").values_list("generation", "outcome")) == [
        (1, "Failed"),
        (2, "Succeeded"),
    ]
    assert Task.objects.get().status == "Succeeded"


def test_a_retry_leaves_cancelled_what_needs_a_task_that_the_failing_job_cancelled():
    job = submit_pipeline(
        {"name": "a"},
        {"name": "b"},
        {"name": "c", "needs": ["a", "b"]},
        max_failed_percent=10,
    )
    worker = register()
    worker.fail(worker.claim(1))
    keeper.close_jobs()
    assert statuses(job) == ["DeadLettered", "Cancelled", "Cancelled"]
    assert control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR) == 1
    worker.succeed(worker.claim())
    assert statuses(job) == ["Succeeded", "Cancelled", "Cancelled"]


def test_a_task_that_is_run_again_by_a_retry_need_not_run_alone():
    job = submit_echo(1, max_attempts=2)
    worker = register()
    for _ in range(2):
        worker.fail(worker.claim(), "worker_lost")
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert not worker.claim()[0].run_alone


def test_the_message_of_an_end_counts_the_tasks():
    job = submit_echo(4)
    worker = register()
    first, second, *rest = worker.claim(4)
    worker.settle(failure(first), failure(second))
    worker.succeed(rest)
    assert reloaded(job).message == "2 of 4 tasks failed."
