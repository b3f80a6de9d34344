"""The figures follow what happens, each thing counted once."""

import pytest

from audit import checks
from audit.events import INTERNAL, Action, Result
from audit.models import AuditCheck
from audit.recorder import record
from jobs import reaper
from jobs.actions import control, fleet, retention
from jobs.actions.figures import add_counts, add_tallies
from jobs.actions.settle import Report, ReportKind
from jobs.metrics import ProcessCounts
from jobs.models import Job, Tally, Task, UsageEntry
from jobs.states import AttemptOutcome
from jobs.transitions.sql import execute
from queueing.rq_client import TicketQueue
from queueing.tickets import Ringer
from tests.integration.gateway import Gateway
from tests.integration.scenario import (
    failure,
    register,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
)
from tests.integration.scrapes import call, samples, tasks, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def actor():
    from access.actors import LOCAL_OPERATOR

    return LOCAL_OPERATOR


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_gauge_of_tasks_follows_every_move():
    submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a"]})
    assert tasks() == {"Blocked": 1, "Queued": 2}
    hand = register()
    first, second = hand.claim(2)
    assert tasks() == {"Blocked": 1, "Running": 2}
    hand.settle(success(first), failure(second))
    assert tasks() == {"Queued": 1, "Succeeded": 1, "DeadLettered": 1}
    assert value("daef_dead_letter_tasks") == 1


def test_adding_changes_where_sums_are_kept_and_no_figure():
    submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    hand = register()
    hand.fail(hand.claim(1))
    before = samples()
    assert add_tallies() > 0
    assert not Tally.objects.exists()
    assert samples() == before
    assert add_tallies() == 0


def test_a_cancelled_and_a_retried_job_leave_the_gauges_right(actor):
    job, other = submit_echo(3), submit_echo(2)
    hand = register()
    control.cancel_job(job_id=job.pk, actor=actor)
    hand.fail(hand.claim(2))
    assert tasks() == {"Cancelled": 3, "DeadLettered": 2}
    control.retry_job(job_id=other.pk, actor=actor)
    assert tasks() == {"Cancelled": 3, "Queued": 2}
    assert value("daef_requeued_total") == 2
    assert value("daef_dead_letter_tasks") == 0


def test_deleted_jobs_leave_the_gauges():
    submit_echo(2)
    hand = register()
    hand.fail(hand.claim(2))
    execute("update job set finished_at = now() - interval '40 days'")
    retention.delete_old_jobs(days=30)
    assert not Job.objects.exists()
    assert tasks() == {}
    assert value("daef_dead_letter_tasks") == 0
    assert value("daef_attempts_total", kind="echo", outcome="Failed") == 2


def test_a_suspended_job_is_queued_but_not_in_the_queue(actor):
    job = submit_echo(3)
    submit_echo(2)
    hand = register()
    hand.claim(1)
    depth = {"pool": "default", "priority": "standard"}
    assert value("daef_queue_depth", **depth) == 4
    control.suspend_job(job_id=job.pk, actor=actor)
    assert value("daef_queue_depth", **depth) == 2
    assert tasks() == {"Queued": 4, "Running": 1}


def test_depth_and_age_are_by_pool_and_priority():
    submit_echo(2, priority="interactive")
    submit_echo(1, priority="batch")
    execute("update task set queued_at = now() - interval '90 seconds' where priority = 100")
    assert value("daef_queue_depth", pool="default", priority="interactive") == 2
    assert value("daef_queue_depth", pool="default", priority="standard") == 0
    assert value("daef_queue_depth", pool="default", priority="batch") == 1
    assert value("daef_oldest_queued_seconds", pool="default", priority="interactive") >= 90
    assert value("daef_oldest_queued_seconds", pool="default", priority="standard") == 0
    assert value("daef_oldest_queued_seconds", pool="default", priority="batch") < 90


def test_the_oldest_wait_is_seen_behind_a_task_that_was_just_retried():
    submit_echo(4)
    execute("update task set queued_at = now() - interval '1 hour'")
    hand = register()
    (task,) = hand.claim(1)
    hand.settle(Report(task.id, task.epoch, ReportKind.RELEASED))
    assert value("daef_oldest_queued_seconds", pool="default", priority="standard") >= 3600


def test_the_oldest_wait_is_seen_in_a_younger_job_of_the_tenant():
    submit_echo(1)
    submit_echo(1)
    execute("update task set queued_at = now() - interval '1 hour' where id > (%s)", [first_task()])
    assert value("daef_oldest_queued_seconds", pool="default", priority="standard") >= 3600


def first_task():
    return min(Task.objects.values_list("id", flat=True))


# ── attempts ──────────────────────────────────────────────────────────────────────────────────────


def test_each_attempt_counts_once_by_kind_and_outcome():
    submit_echo(3)
    hand = register()
    one, two, three = hand.claim(3)
    released = Report(three.id, three.epoch, ReportKind.RELEASED)
    hand.settle(success(one), failure(two), released)
    hand.settle(success(one), failure(two))
    counted = {
        outcome.value: value("daef_attempts_total", kind="echo", outcome=outcome)
        for outcome in AttemptOutcome
    }
    assert counted == {"Succeeded": 1, "Failed": 1, "Released": 1, "Lost": 0, "Cancelled": 0}


def test_an_expired_lease_counts_a_share_for_each_task():
    submit_echo(2)
    register().claim(2)
    execute("update lease set expires_at = now() - interval '1 second'")
    reaper.reap_leases()
    assert value("daef_leases_expired_total") == 2
    assert value("daef_attempts_total", kind="echo", outcome="Lost") == 2


def test_waits_and_runs_stand_in_their_buckets():
    submit_echo(2)
    hand = register()
    claimed = hand.claim(2)
    execute(
        "update task set queued_at = clock_timestamp() - interval '200 s', "
        "started_at = clock_timestamp() - interval '20 s'"
    )
    hand.succeed(claimed)
    wait, run = "daef_task_wait_seconds", "daef_task_run_seconds"
    assert [value(f"{wait}_bucket", le=le) for le in ("60.0", "300.0", "+Inf")] == [0, 2, 2]
    assert value(f"{wait}_sum") == pytest.approx(360, abs=2)
    buckets = [value(f"{run}_bucket", kind="echo", le=le) for le in ("10.0", "30.0", "+Inf")]
    assert buckets == [0, 2, 2]
    assert value(f"{run}_sum", kind="echo") == pytest.approx(40, abs=15)
    assert value(f"{run}_count", kind="echo") == 2


def test_a_value_on_an_edge_belongs_to_the_bucket_below():
    submit_echo(1)
    hand = register()
    claimed = hand.claim(1)
    execute("update task set started_at = queued_at + interval '5 s'")
    hand.succeed(claimed)
    edges = [value("daef_task_wait_seconds_bucket", le=le) for le in ("1.0", "5.0", "15.0")]
    assert edges == [0, 1, 1]


def test_a_retried_tasks_wait_is_that_before_the_attempt_that_failed():
    submit_echo(1)
    hand = register()
    claimed = hand.claim(1)
    execute("update task set queued_at = started_at - interval '100 s'")
    hand.fail(claimed, "transient")
    assert value("daef_task_wait_seconds_sum") == pytest.approx(100, abs=2)


def test_runs_are_those_of_attempts_that_an_agent_settled():
    submit_echo(1)
    register().claim(1)
    execute("update lease set expires_at = now() - interval '1 second'")
    reaper.reap_leases()
    assert value("daef_task_run_seconds_count", kind="echo") == 0
    assert value("daef_task_wait_seconds_count") == 1


def test_jobs_count_when_accepted_and_at_their_end():
    submit_echo(1)
    hand = register()
    hand.succeed(hand.claim(1))
    submit_pipeline({"name": "a"})
    assert value("daef_jobs_total", type="batch", status="Pending") == 1
    assert value("daef_jobs_total", type="batch", status="Succeeded") == 1
    assert value("daef_jobs_total", type="pipeline", status="Pending") == 1
    assert value("daef_jobs_total", type="pipeline", status="Succeeded") == 0


# ── models ────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_and_cost_count_each_call_once_by_model():
    submit_job({"type": "chat", "input": "hello"})
    hand = register()
    (task,) = hand.claim(1)
    report = success(task)._replace(usage=(call(task),))
    hand.settle(report)
    hand.settle(report)
    assert value("daef_tokens_total", model="smollm2-135m", direction="input") == 10
    assert value("daef_tokens_total", model="smollm2-135m", direction="output") == 5
    assert value("daef_cost_usd_total", model="smollm2-135m") == pytest.approx(7e-7)


def test_a_model_that_no_endpoint_has_counts_as_other():
    submit_job({"type": "chat", "input": "hello"})
    hand = register()
    (task,) = hand.claim(1)
    hand.settle(success(task)._replace(usage=(call(task, model='made-up"} 1\n#'),)))
    assert UsageEntry.objects.get().model.startswith("made-up")
    assert value("daef_tokens_total", model="other", direction="input") == 10
    assert "made-up" not in Gateway().get("/v1/metrics/prometheus").content.decode()


# ── fleet ─────────────────────────────────────────────────────────────────────────────────────────


def test_workers_and_slots_are_of_those_that_live():
    submit_echo(3)
    register(slots=4).claim(3)
    silent, draining, gone = (register(slots=8) for _ in range(3))
    execute(
        "update worker set heartbeat_at = now() - interval '1 hour' where id = %s",
        [silent.worker.pk],
    )
    execute("update worker set state = 'Draining' where id = %s", [draining.worker.pk])
    fleet.deregister(gone.worker)
    counted = {s: value("daef_workers", state=s) for s in ("Active", "Draining", "Lost")}
    assert counted == {"Active": 1, "Draining": 1, "Lost": 1}
    assert value("daef_slots", state="busy") == 3
    assert value("daef_slots", state="free") == 9


def test_the_audit_head_is_the_newest_entrys_number():
    assert value("daef_audit_head") == 0
    record(action=Action.JOB_CANCEL, result=Result.OK, actor="a", origin=INTERNAL, target="job-1")
    assert value("daef_audit_head") == 1


def test_a_breach_of_the_audit_log_is_told_once_the_check_knows_of_it():
    record(action=Action.JOB_CANCEL, result=Result.OK, actor="a", origin=INTERNAL, target="job-1")
    checks.check_some()
    assert value("daef_audit_broken") == 0
    AuditCheck.objects.update(broken_entry=1, broken_kind="edit")
    assert value("daef_audit_broken") == 1


def test_tickets_count_when_written_and_when_redis_refuses_them(redis_url):
    counts = ProcessCounts()
    counts.told(counts.untold())
    Ringer()._push(TicketQueue(redis_url), "default", 3)
    Ringer()._push(TicketQueue("redis://127.0.0.1:1/0"), "default", 2)
    add_counts(counts.untold())
    assert value("daef_tickets_total", event="written") == 3
    assert value("daef_tickets_total", event="refused") == 2
