"""Safeguards that stand behind others: each is missed as soon as it is switched off."""

import io
import threading

import pytest
from django.utils import timezone

from access.actors import LOCAL_OPERATOR
from jobs import reaper, ticketer
from jobs.actions import control, fleet
from jobs.actions.artifacts import store_blob
from jobs.actions.combiner import Combiner
from jobs.actions.settle import Report, ReportKind, SettleStatus
from jobs.actions.spawning import SpawnOrder
from jobs.errors import LeaseNotHeld
from jobs.models import Budget, Delayed, Task
from jobs.transitions import claiming
from jobs.transitions.sql import execute, fetch
from queueing import tickets
from tests.integration.scenario import (
    failure,
    register,
    statuses,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
    tenant,
)


def at_cluster():
    job = submit_job({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    worker = register()
    worker.succeed(worker.claim(1))
    return job, worker, worker.claim(1)[0]


LABEL = (SpawnOrder("label-0", "label", "{}", "{}", "smollm2-135m"),)


@pytest.mark.django_db
def test_a_task_without_attempts_left_is_never_given_out():
    submit_echo(1)
    execute("update task set attempt = max_attempts")
    assert register().claim(1) == []
    assert Task.objects.get().status == "Queued"


@pytest.mark.django_db
@pytest.mark.usefixtures("sound_database")
class TestSoundly:
    """With every invariant recomputed at the end."""

    def test_a_heartbeat_names_an_older_share_of_a_task_that_is_held_again(self):
        submit_echo(1)
        worker = register()
        (old,) = worker.claim()
        worker.settle(Report(old.id, old.epoch, ReportKind.RELEASED))
        (new,) = worker.claim()
        assert worker.beat([old, new]).gone == [(old.id, old.epoch)]

    def test_a_heartbeat_of_another_worker_does_not_hold_the_share(self):
        submit_echo(1)
        claimed = register().claim()
        assert register().beat(claimed).gone

    def test_an_incarnation_registers_once(self):
        worker = register().worker
        again = fleet.Registration(
            incarnation=str(worker.incarnation),
            token_fingerprint="other",
            tenant=None,
            name="mallory",
            node="",
            pool="default",
            slots=1,
            kinds=[],
            models=[],
            version="",
        )
        with pytest.raises(LeaseNotHeld):
            fleet.register(again)

    def test_a_worker_that_is_gone_renews_nothing(self):
        worker = register()
        fleet.deregister(worker.worker)
        with pytest.raises(LeaseNotHeld):
            worker.beat([])

    def test_a_job_never_reserves_more_than_its_budget(self):
        chat = {"kind": "chat", "input": {"prompt": "x"}}
        job = submit_pipeline({"name": "a", **chat}, {"name": "b", **chat})
        dearest = max(Task.objects.values_list("ceiling_nano_usd", flat=True))
        Budget.objects.filter(pk=job.pk).update(limit_nano_usd=dearest + 1)
        assert len(register().claim(2)) == 1

    def test_a_second_broken_need_leaves_a_cancelled_task_as_it_is(self):
        job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
        worker = register()
        first, second = worker.claim(2)
        worker.settle(failure(first))
        worker.settle(failure(second))
        assert statuses(job) == ["DeadLettered", "DeadLettered", "Cancelled"]

    def test_a_released_task_of_a_suspended_job_is_not_given_out(self):
        job = submit_echo(1)
        worker = register()
        (task,) = worker.claim()
        control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
        worker.settle(Report(task.id, task.epoch, ReportKind.RELEASED))
        assert worker.claim() == []

    def test_a_fenced_report_spawns_nothing(self):
        job, worker, cluster = at_cluster()
        answer = register().settle(success(cluster)._replace(spawned=LABEL))[0]
        assert answer.status == SettleStatus.FENCED
        assert len(statuses(job)) == 3
        worker.succeed([cluster])

    def test_a_repeated_report_spawns_nothing_more(self):
        job, worker, cluster = at_cluster()
        for _ in range(2):
            worker.settle(success(cluster)._replace(spawned=LABEL))
        assert len(statuses(job)) == 4

    def test_a_spawner_that_is_retried_spawns_anew(self):
        job, worker, cluster = at_cluster()
        worker.settle(success(cluster)._replace(spawned=LABEL))
        execute("update task set max_attempts = 1")
        worker.succeed(worker.claim())
        worker.fail(worker.claim())
        assert control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR) == 1
        assert statuses(job)[2] == "Queued"

    def test_a_retry_takes_a_backed_off_collector_out_of_its_wait(self):
        job = submit_pipeline({"name": "a"}, {"name": "b", "collects": ["a"]})
        worker = register()
        worker.fail(worker.claim())
        worker.fail(worker.claim(), "transient")
        assert Delayed.objects.count() == 1
        control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
        assert statuses(job) == ["Queued", "Blocked"]
        assert not Delayed.objects.exists()

    def test_a_result_names_no_blob_of_another_tenant(self):
        submit_echo(1, owner="alice")
        (task,) = (worker := register()).claim()
        sha256, _ = store_blob(
            stream=io.BytesIO(b"bob's"), tenant=tenant("bob").pk, media_type="", now=timezone.now()
        )
        report = success(task)._replace(result=None, result_sha256=sha256)
        assert worker.settle(report)[0].status == SettleStatus.REJECTED

    def test_a_claim_does_not_wait_for_the_disk(self):
        submit_echo(1)
        register().claim()
        assert fetch("show synchronous_commit") == [("off",)]

    def test_an_expired_lease_is_not_reaped_from_under_another_owner(self):
        submit_echo(1)
        late, other = register(), register()
        (task,) = late.claim()
        execute("update lease set expires_at = clock_timestamp() - interval '1 second'")
        reaper.reap_leases()
        (again,) = other.claim()
        assert reaper.reap_leases() == 0
        assert (again.id, Task.objects.get().status) == (task.id, "Running")

    def test_a_pool_with_waiting_work_is_rung_for_again(self, monkeypatch):
        submit_echo(1)
        register()
        rung = []
        monkeypatch.setattr(tickets, "ring", lambda *call: rung.append(call))
        ticketer.one_pass()
        assert rung == [("default", 1)]

    def test_work_that_waits_is_seen_whatever_else_was_claimed(self):
        submit_echo(1)
        worker = register()
        reach = claiming.Reach(worker.worker.pool_id, ["echo"], [])
        assert claiming.any_ready(reach)
        worker.claim()
        assert not claiming.any_ready(reach)


def test_a_call_that_fails_does_not_fail_those_it_was_combined_with():
    begun, go = threading.Event(), threading.Event()

    def work(items):
        if items == ["first"]:
            begun.set()
            go.wait(10)
        if "bad" in items:
            raise ValueError("bad")
        return [f"{item} done" for item in items]

    combined: Combiner[str, str] = Combiner(work, most=10)
    answers: dict[str, object] = {}

    def call(item):
        try:
            answers[item] = combined(item)
        except ValueError as error:
            answers[item] = str(error)

    threads = [threading.Thread(target=call, args=(item,)) for item in ("first", "bad", "good")]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(combined._waiting) < 2:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
    assert answers == {"first": "first done", "bad": "bad", "good": "good done"}
