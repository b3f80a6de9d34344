"""Repairs: lost leases, limits of time, jobs that are ending, and what heartbeats give back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.actors import LOCAL_OPERATOR
from jobs import explainer, keeper, reaper, ticketer
from jobs.actions import control, fleet, premises
from jobs.actions.settle import SettleStatus
from jobs.models import (
    Attempt,
    DeadLetter,
    Delayed,
    IdempotencyRecord,
    Job,
    Lease,
    ModelEndpoint,
    RecordedAnswer,
    Task,
    Worker,
)
from jobs.transitions.sql import execute, fetch
from tests.integration.neighbour import usage_of
from tests.integration.scenario import (
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def expire_leases():
    """Let all leases run out, as if time had passed."""
    execute("update lease set expires_at = clock_timestamp() - interval '1 second'")


def age_leases(seconds: float):
    """Make all leases older."""
    execute("update lease set granted_at = granted_at - make_interval(secs => %s)", (seconds,))


def test_a_task_of_a_lost_worker_is_queued_again_at_once():
    job = submit_echo(1)
    register().claim()
    expire_leases()
    assert reaper.reap_leases() == 1
    assert statuses(job) == ["Queued"]
    assert Attempt.objects.get().outcome == "Lost"
    (again,) = register().claim()
    assert (again.attempt, again.epoch) == (2, 2)


def test_a_task_with_which_two_workers_were_lost_runs_alone():
    submit_echo(1)
    seen = []
    for _ in range(3):
        (claimed,) = register().claim()
        seen.append(claimed.run_alone)
        expire_leases()
        reaper.reap_leases()
    assert seen == [False, False, True]


def test_a_lease_that_was_renewed_is_not_reaped():
    submit_echo(1)
    worker = register()
    claimed = worker.claim()
    expire_leases()
    worker.beat(claimed)
    assert reaper.reap_leases() == 0
    assert Task.objects.get().status == "Running"


def test_a_worker_that_wakes_after_its_lease_is_fenced():
    job = submit_echo(1)
    late = register()
    claimed = late.claim()
    expire_leases()
    reaper.reap_leases()
    other = register()
    again = other.claim()
    assert late.succeed(claimed, "late")[0].status == SettleStatus.FENCED
    assert late.beat(claimed).gone
    other.succeed(again, "right")
    assert Task.objects.get().result == '"right"'
    assert reloaded(job).status == "Succeeded"


def test_a_task_that_loses_every_worker_runs_exactly_max_attempts_times():
    submit_echo(1, max_attempts=3)
    for _ in range(3):
        assert len(register().claim()) == 1
        expire_leases()
        reaper.reap_leases()
    assert register().claim() == []
    assert DeadLetter.objects.get().error_code == "worker_lost"
    assert Attempt.objects.count() == 3


def test_start_to_close_ends_an_attempt_that_heartbeats_keep_alive():
    submit_echo(1)
    worker = register()
    claimed = worker.claim()
    execute("update lease set close_at = clock_timestamp() - interval '1 second'")
    worker.beat(claimed)
    assert reaper.reap_leases() == 1
    assert Attempt.objects.get().error_code == "start_to_close_exceeded"


def test_a_task_whose_claim_reply_was_lost_is_given_back():
    submit_echo(1)
    worker = register()
    worker.claim()
    age_leases(fleet.LOST_REPLY_SECONDS + 1)
    worker.beat([])
    task = Task.objects.get()
    assert (task.status, task.attempt) == ("Queued", 0)


def test_a_fresh_claim_is_not_taken_for_a_lost_reply():
    submit_echo(1)
    worker = register()
    worker.claim()
    worker.beat([])
    assert Task.objects.get().status == "Running"


def test_a_heartbeat_says_whether_work_waits():
    worker = register()
    assert not worker.beat([]).work_waiting
    submit_echo(1)
    assert worker.beat([]).work_waiting


def test_a_worker_that_leaves_gives_its_tasks_back():
    job = submit_echo(2)
    worker = register()
    worker.claim(2)
    fleet.deregister(worker.worker)
    assert statuses(job) == ["Queued", "Queued"]
    assert not Lease.objects.exists()


def test_a_job_past_its_deadline_fails_and_ends_its_tasks():
    job = submit_echo(2, deadline_seconds=60)
    register().claim(1)
    Job.objects.filter(pk=job.pk).update(deadline_at=job.created_at)
    keeper.Keeper().one_pass()
    assert (reloaded(job).status, reloaded(job).reason) == ("Failed", "DeadlineExceeded")
    assert set(statuses(job)) == {"Cancelled"}


def test_a_task_that_waited_past_schedule_to_close_is_buried():
    job = submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    execute("update job set schedule_to_close_seconds = 10, created_at = now() - interval '1 hour'")
    execute("update task set created_at = now() - interval '1 hour'")
    assert keeper.bury_overdue() == 1
    assert statuses(job) == ["DeadLettered", "Cancelled"]
    assert DeadLetter.objects.get().error_code == "schedule_to_close_exceeded"
    assert reloaded(job).status == "Failed"


def test_a_retry_gives_a_task_that_was_buried_for_its_age_time_again():
    job = submit_echo(1)
    execute("update job set schedule_to_close_seconds = 10, created_at = now() - interval '1 hour'")
    execute("update task set created_at = now() - interval '1 hour'")
    keeper.bury_overdue()
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert keeper.bury_overdue() == 0
    assert len(register().claim()) == 1


def test_a_task_that_nobody_took_within_schedule_to_start_is_buried():
    submit_echo(1)
    execute("update job set schedule_to_start_seconds = 5, created_at = now() - interval '1 hour'")
    execute("update task set queued_at = now() - interval '1 minute'")
    assert keeper.bury_overdue() == 1
    assert DeadLetter.objects.get().error_code == "schedule_to_start_exceeded"


def test_a_backed_off_task_is_ready_when_its_time_has_come():
    submit_echo(1)
    worker = register()
    worker.fail(worker.claim(), "transient")
    assert worker.claim() == []
    execute("update delayed set due_at = now()")
    assert ticketer.move_due() == 1
    assert len(worker.claim()) == 1


def test_a_waiting_job_is_given_its_reason_for_lists():
    job = submit_echo(1)
    explainer.one_pass()
    assert reloaded(job).reason == "WaitingForWorkers"
    register(kinds=["chat"])
    execute("update job set reason_checked_at = now() - interval '1 minute'")
    explainer.one_pass()
    assert reloaded(job).reason == "NoMatchingWorker"


def test_the_reason_of_an_ended_job_is_never_rewritten():
    job = submit_echo(1)
    worker = register()
    worker.succeed(worker.claim())
    explainer.one_pass()
    assert (reloaded(job).reason, reloaded(job).reason_checked_at) == ("AllSucceeded", None)


def test_old_jobs_are_deleted_with_all_they_own_and_young_ones_stay():
    from jobs.actions import retention

    old, young = submit_echo(2), submit_echo(1)
    worker = register()
    worker.succeed(worker.claim(3))
    execute("update job set finished_at = now() - interval '40 days' where id = %s", (old.pk,))
    assert retention.delete_old_jobs(days=30) == 1
    assert list(Job.objects.all()) == [young]
    assert Task.objects.count() == Attempt.objects.count() == 1


def test_an_agent_is_given_the_models_of_endpoints_whose_keys_it_has():
    for name, key in (("open", ""), ("mine", "acme"), ("other", "zz")):
        ModelEndpoint.objects.create(
            name=name,
            backend="openai",
            base_url="http://127.0.0.1:1/v1",
            model_names=[f"{name}-model"],
            input_price=1,
            output_price=1,
            key_name=key,
        )
    assert fleet.reachable(["own", "openai:", "openai:ACME"]) == ["mine-model", "open-model", "own"]
    assert fleet.reachable(["own"]) == ["own"]


def test_an_attempt_that_took_too_long_backs_off_and_is_no_lost_worker():
    submit_echo(1)
    worker = register()
    worker.beat(worker.claim())
    execute("update lease set close_at = clock_timestamp() - interval '1 second'")
    expire_leases()
    assert reaper.reap_leases() == 1
    assert Task.objects.get().workers_lost == 0
    assert Delayed.objects.count() == 1


def test_the_keeper_deletes_once_a_minute_what_is_no_longer_kept():
    job, watch = submit_echo(1), keeper.Keeper()
    worker = register()
    worker.succeed(worker.claim())
    execute("update job set finished_at = now() - interval '400 days'")
    assert "old jobs deleted" not in watch.one_pass()
    watch._retained_at -= keeper.RETENTION_SECONDS + 1
    assert watch.one_pass()["old jobs deleted"] == 1
    assert not Job.objects.filter(pk=job.pk).exists()
    assert "old jobs deleted" not in watch.one_pass()


def test_an_idempotency_key_is_forgotten_after_a_day_and_not_before():
    from jobs.actions import retention

    for key, age in (("old", "25 hours"), ("young", "23 hours")):
        submit_job({"type": "chat", "input": "hello"}, key=key)
        execute(
            f"update idempotency_record set created_at = now() - interval '{age}' where key = %s",
            (key,),
        )
        RecordedAnswer.objects.create(
            actor="token:ops",
            key=key,
            request_sha256="",
            answer="{}",
            created_at=timezone.now() - timedelta(hours=int(age.split()[0])),
        )
    assert retention.forget_keys() == 2
    assert IdempotencyRecord.objects.get().key == "young"
    assert RecordedAnswer.objects.get().key == "young"


@pytest.mark.parametrize(
    "change",
    [
        "state = 'Draining'",
        "state = 'Gone'",
        "heartbeat_at = now() - interval '1 hour'",
        "pool_id = (select id from pool where name = 'other')",
    ],
)
def test_only_active_workers_of_the_pool_that_were_heard_of_count_as_live(change):
    register()
    away = register()
    register(pool="other")
    execute(f"update worker set {change} where id = %s", (away.worker.pk,))
    assert premises.ask(tenant="default", policy="default").live_workers == 1


def test_a_silent_worker_that_still_holds_a_lease_is_not_yet_gone():
    submit_echo(1)
    holder, idle = register(), register()
    holder.claim()
    execute("update worker set heartbeat_at = now() - interval '1 hour'")
    assert keeper.Keeper().one_pass()["workers gone"] == 1
    states = dict(Worker.objects.values_list("pk", "state"))
    assert states == {holder.worker.pk: "Active", idle.worker.pk: "Gone"}


def test_what_waits_for_a_worker_since_its_parents_ended_is_buried_in_time_and_not_before():
    job = submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    execute("update job set schedule_to_start_seconds = 60, created_at = now() - interval '1 hour'")
    worker = register()
    worker.succeed(worker.claim())
    assert keeper.bury_overdue() == 0
    execute("update task set queued_at = queued_at - interval '2 minutes'")
    assert keeper.bury_overdue() == 1
    assert statuses(job) == ["Succeeded", "DeadLettered"]


def test_a_task_that_waits_within_its_limits_is_left_alone():
    job = submit_echo(1)
    execute("update job set schedule_to_start_seconds = 60, schedule_to_close_seconds = 120")
    execute("update job set created_at = now() - interval '1 hour'")
    assert keeper.bury_overdue() == 0
    assert statuses(job) == ["Queued"]


def test_a_suspended_job_keeps_its_waiting_tasks():
    job = submit_echo(1)
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    execute("update job set schedule_to_close_seconds = 10, created_at = now() - interval '1 hour'")
    execute("update task set created_at = now() - interval '1 hour'")
    assert keeper.bury_overdue() == 0


def test_a_job_that_can_still_pay_or_still_runs_is_not_out_of_budget():
    job = submit_pipeline(
        {"name": "cheap", "kind": "chat", "input": {"prompt": "x"}},
        {"name": "dear", "kind": "chat", "input": {"prompt": "x" * 4_000}},
    )
    cheap, dear = Task.objects.order_by("id").values_list("ceiling_nano_usd", flat=True)
    execute("update budget set limit_nano_usd = %s", (dear + cheap,))
    worker = register()
    running, ended = sorted(worker.claim(1) + worker.claim(1))
    keeper.fail_jobs()
    assert reloaded(job).failed_reason is None
    worker.settle(success(ended)._replace(usage=usage_of(ended, dear)))
    keeper.fail_jobs()
    assert reloaded(job).failed_reason is None
    worker.fail([running], "transient")
    keeper.fail_jobs()
    assert reloaded(job).failed_reason == "BudgetExceeded"


def test_a_renewed_lease_holds_for_the_whole_of_its_time_again(settings):
    settings.DAEF_LEASE_SECONDS = 30.0
    submit_echo(1)
    worker = register()
    claimed = worker.claim()
    expire_leases()
    worker.beat(claimed)
    left = fetch("select extract(epoch from expires_at - clock_timestamp()) from lease")[0][0]
    assert 25 < left <= 30


def test_an_expired_lease_of_an_earlier_owner_takes_nothing_from_the_present_one():
    submit_echo(1)
    earlier, present = register(), register()
    (task,) = present.claim()
    execute(
        "insert into lease (owner, job_id, tenant_id, pool_id, granted_at, expires_at, close_at,"
        " task_ids) select %s, job_id, tenant_id, pool_id, granted_at, now() - interval '1 hour',"
        " close_at, task_ids from lease",
        (earlier.worker.pk,),
    )
    assert reaper.reap_leases() == 0
    assert Lease.objects.get().owner == present.worker.pk
    assert present.succeed([task])[0].status == SettleStatus.APPLIED


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("cancel_requested_at = now()", "cancelled"),
        ("failed_reason = 'DeadlineExceeded'", "job_failed"),
    ],
)
def test_tasks_of_a_job_that_ends_over_them_say_why(asked, code):
    submit_echo(2)
    register().claim(1)
    execute(f"update job set {asked}")
    assert keeper.close_jobs() == 2
    assert set(Task.objects.values_list("status", "error_code")) == {("Cancelled", code)}
