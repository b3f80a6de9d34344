"""Settling: the fence, retries, dependents, counters and the ends of jobs."""

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import reaper
from jobs.actions.settle import (
    Report,
    ReportKind,
    SettleRequest,
    SettleStatus,
    settle,
)
from jobs.actions.spawning import SpawnOrder
from jobs.models import (
    Attempt,
    Budget,
    DeadLetter,
    Delayed,
    JobStage,
    Lease,
    Task,
    UsageEntry,
)
from jobs.transitions.settling import UsageRow
from jobs.transitions.sql import execute
from tests.integration.scenario import (
    failure,
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

# Savepoints of the tests' transaction included; the test reading worker and pool too.
CLAIM_QUERIES = 7
SETTLE_QUERIES = 6
SUBMIT_QUERIES = 8


def test_a_success_ends_the_task_with_its_result_and_attempt():
    job = submit_echo(1)
    worker = register()
    claimed = worker.claim()
    assert worker.succeed(claimed, {"x": 1})[0].status == SettleStatus.APPLIED
    task = Task.objects.get(pk=claimed[0].id)
    assert (task.status, task.result, task.owner) == ("Succeeded", '{"x": 1}', None)
    assert Attempt.objects.get(task_id=task.pk).outcome == "Succeeded"
    assert not Lease.objects.exists()
    assert (reloaded(job).status, reloaded(job).reason) == ("Succeeded", "AllSucceeded")


def test_a_job_ends_only_with_its_last_task():
    job = submit_echo(3)
    worker = register()
    claimed = worker.claim(3)
    worker.succeed(claimed[:2])
    assert reloaded(job).status == "Running"
    assert Lease.objects.get().task_ids == [claimed[2].id]
    worker.succeed(claimed[2:])
    assert reloaded(job).status == "Succeeded"


def test_a_repeated_settlement_is_answered_as_repeated_and_changes_nothing():
    submit_echo(1)
    worker = register()
    claimed = worker.claim()
    worker.succeed(claimed, 1)
    assert worker.succeed(claimed, 2)[0].status == SettleStatus.REPEATED
    assert Task.objects.get().result == "1"


def test_a_settlement_of_another_worker_is_fenced():
    submit_echo(1)
    claimed = register().claim()
    assert register().succeed(claimed)[0].status == SettleStatus.FENCED
    assert Task.objects.get().status == "Running"


def test_the_holder_is_heard_when_another_worker_reports_the_same_share_in_the_same_moment():
    submit_echo(1)
    holder, other = register(), register()
    (task,) = holder.claim()
    requests = [
        SettleRequest(hand.worker, [success(task, text)])
        for hand, text in ((other, "wrong"), (holder, "right"))
    ]
    answers = settle(requests)
    assert [answer.status for (answer,) in answers] == [
        SettleStatus.FENCED,
        SettleStatus.APPLIED,
    ]
    assert Task.objects.get().result == '"right"'


def test_a_settlement_of_an_older_epoch_is_fenced():
    submit_echo(1)
    worker = register()
    old = worker.claim()
    worker.settle(Report(old[0].id, old[0].epoch, ReportKind.RELEASED))
    worker.claim()
    answer = worker.settle(success(old[0], "stale"))[0]
    assert answer.status == SettleStatus.REPEATED
    assert Task.objects.get().status == "Running"


def test_a_bad_outcome_is_rejected_and_the_rest_of_the_call_stands():
    submit_echo(2)
    worker = register()
    first, second = worker.claim(2)
    bad = Report(first.id, first.epoch, ReportKind.SUCCEEDED, "{not json")
    answers = worker.settle(bad, success(second))
    assert [answer.status for answer in answers] == [SettleStatus.REJECTED, SettleStatus.APPLIED]
    assert DeadLetter.objects.get().error_code == "invalid_outcome"


def test_a_result_with_escaped_nul_is_kept_as_it_is():
    submit_echo(1)
    worker = register()
    (task,) = worker.claim()
    worker.settle(Report(task.id, task.epoch, ReportKind.SUCCEEDED, '"\\u0000"'))
    assert Task.objects.get().result == '"\\u0000"'


def test_a_transient_failure_waits_and_runs_again():
    submit_echo(1)
    worker = register()
    worker.fail(worker.claim(), "transient")
    task = Task.objects.get()
    assert (task.status, task.attempt, task.error_code) == ("Queued", 1, "broken")
    assert Delayed.objects.get().task_id == task.pk


def test_a_rate_limit_gives_the_attempt_back():
    submit_echo(1)
    worker = register()
    worker.fail(worker.claim(), "rate_limited")
    assert Task.objects.get().attempt == 0


def test_a_released_task_is_ready_at_once_and_keeps_its_attempts():
    submit_echo(1)
    worker = register()
    (task,) = worker.claim()
    worker.settle(Report(task.id, task.epoch, ReportKind.RELEASED))
    (again,) = worker.claim()
    assert (again.attempt, again.epoch) == (1, 2)


def test_used_up_attempts_go_to_the_dead_letters():
    job = submit_echo(1, max_attempts=1)
    worker = register()
    worker.fail(worker.claim(), "transient")
    assert Task.objects.get().status == "DeadLettered"
    assert DeadLetter.objects.get().error_code == "broken"
    assert reloaded(job).status == "Failed"


def test_one_bad_task_leaves_the_job_partially_succeeded():
    job = submit_echo(3)
    worker = register()
    first, *rest = worker.claim(3)
    worker.settle(failure(first, "permanent"), *map(success, rest))
    assert reloaded(job).status == "PartiallySucceeded"


def test_too_many_failures_end_the_job_early():
    job = submit_echo(10, max_failed_percent=10)
    worker = register()
    first, second, *_ = worker.claim(2)
    worker.settle(failure(first), failure(second))
    assert reloaded(job).failed_reason == "FailuresExceeded"


def test_a_dependent_becomes_ready_when_what_it_needs_succeeded():
    job = submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    worker = register()
    worker.succeed(worker.claim(5))
    assert statuses(job) == ["Succeeded", "Queued"]
    assert [task.name for task in worker.claim(5)] == ["b"]


def test_a_broken_need_cancels_everything_behind_it():
    job = submit_pipeline(
        {"name": "a"}, {"name": "b", "needs": ["a"]}, {"name": "c", "needs": ["b"]}
    )
    worker = register()
    worker.fail(worker.claim())
    assert statuses(job) == ["DeadLettered", "Cancelled", "Cancelled"]
    assert reloaded(job).status == "Failed"


def test_a_collector_runs_even_when_a_parent_failed():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "collects": ["a", "b"]})
    worker = register()
    first, second = worker.claim(5)
    worker.settle(failure(first), success(second))
    (collector,) = worker.claim(5)
    assert (collector.name, collector.has_parents) == ("c", True)
    worker.succeed([collector])
    assert reloaded(job).status == "PartiallySucceeded"


def test_the_counters_of_stages_equal_their_tasks():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
    worker = register()
    first, second = worker.claim(5)
    worker.settle(failure(first), success(second))
    rows = JobStage.objects.filter(job_id=job.pk)
    assert sum(row.open for row in rows) == sum(row.blocked for row in rows) == 0
    assert sum(row.succeeded for row in rows) == 1
    assert sum(row.dead_lettered for row in rows) == 1
    assert sum(row.cancelled for row in rows) == 1


def test_usage_is_booked_once_and_counted_in_job_and_budget():
    job = submit_job({"type": "chat", "input": "hello"})
    worker = register()
    (task,) = worker.claim()
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 10, 5, 600, False)
    report = success(task, {"text": "hi"})._replace(usage=(entry,))
    worker.settle(report)
    worker.settle(report)
    assert UsageEntry.objects.get().cost_nano_usd == 600
    stage = JobStage.objects.get(job_id=job.pk)
    assert (stage.input_tokens, stage.output_tokens, stage.cost_nano_usd) == (10, 5, 600)


def test_usage_of_a_settlement_that_comes_too_late_is_booked_as_wasted():
    submit_job({"type": "chat", "input": "hello"})
    worker = register()
    (task,) = worker.claim()
    execute("update lease set expires_at = clock_timestamp() - interval '1 second'")
    reaper.reap_leases()
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 10, 5, 600, False)
    worker.settle(success(task)._replace(usage=(entry,)))
    assert UsageEntry.objects.get().wasted


def test_usage_that_another_worker_makes_up_does_not_displace_the_holders():
    submit_job({"type": "chat", "input": "hello"})
    worker = register()
    (task,) = worker.claim()
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 10, 5, 600, False)
    register().settle(success(task)._replace(usage=(entry._replace(cost_nano_usd=1),)))
    worker.settle(success(task)._replace(usage=(entry,)))
    assert list(UsageEntry.objects.values_list("cost_nano_usd", "wasted")) == [(600, False)]


def test_only_the_first_of_two_reports_of_a_share_is_judged_and_booked():
    _, worker, cluster = _analysis_at_cluster()
    order = SpawnOrder("x", "echo", "{}", "{}", "")
    entry = UsageRow(cluster.id, cluster.epoch, 7, "embedded-chat", "smollm2-135m", 1, 1, 9, False)
    answers = worker.settle(
        success(cluster)._replace(spawned=(order,)),
        success(cluster)._replace(spawned=_labels(1), usage=(entry,)),
    )
    assert [answer.status for answer in answers] == [SettleStatus.REJECTED, SettleStatus.REPEATED]
    assert UsageEntry.objects.get().wasted


def test_a_failed_attempt_gives_back_what_it_did_not_spend():
    job = submit_job({"type": "chat", "input": "hello"})
    worker = register()
    (task,) = worker.claim()
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 1, 0, 20, False)
    worker.settle(failure(task, "transient")._replace(usage=(entry,)))
    budget = Budget.objects.get(pk=job.pk)
    assert (budget.reserved_nano_usd, budget.settled_nano_usd) == (0, 20)


def test_a_budget_overrun_is_kept_and_never_fails_the_result():
    job = submit_echo(2)
    del job
    job = submit_pipeline(
        {"name": "a", "kind": "chat", "input": {"prompt": "x"}}, {"name": "b", "needs": ["a"]}
    )
    worker = register()
    task = next(task for task in worker.claim(5) if task.kind == "chat")
    cost = task.ceiling_nano_usd + 7
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 1, 1, cost, False)
    worker.settle(success(task)._replace(usage=(entry,)))
    budget = Budget.objects.get(pk=job.pk)
    assert (budget.settled_nano_usd, budget.overrun_nano_usd) == (task.ceiling_nano_usd, 7)


def _analysis_at_cluster():
    job = submit_job({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    worker = register()
    worker.succeed(worker.claim(10))
    (cluster,) = worker.claim(10)
    assert cluster.kind == "cluster"
    return job, worker, cluster


def _labels(count: int) -> tuple[SpawnOrder, ...]:
    return tuple(
        SpawnOrder(f"label-{n}", "label", "{}", "{}", "smollm2-135m") for n in range(count)
    )


def test_spawned_tasks_run_before_what_waits_for_their_parent():
    job, worker, cluster = _analysis_at_cluster()
    worker.settle(success(cluster)._replace(spawned=_labels(2)))
    labels = worker.claim(10)
    assert [task.kind for task in labels] == ["label", "label"]
    worker.succeed(labels)
    (report,) = worker.claim(10)
    assert report.kind == "report"
    worker.succeed([report])
    assert (reloaded(job).status, reloaded(job).total_tasks) == ("Succeeded", 5)


def test_a_task_may_spawn_only_what_its_plan_foresaw():
    _, worker, cluster = _analysis_at_cluster()
    order = SpawnOrder("x", "echo", "{}", "{}", "")
    answer = worker.settle(success(cluster)._replace(spawned=(order,)))[0]
    assert answer.status == SettleStatus.REJECTED
    assert "no stage" in answer.message


def test_claim_and_settle_take_the_same_number_of_queries_for_any_number_of_tasks():
    worker = register()
    counts = []
    for size in (2, 150):
        submit_echo(size)
        with CaptureQueriesContext(connection) as claims:
            claimed = worker.claim(size)
        assert len(claimed) == size
        with CaptureQueriesContext(connection) as settles:
            worker.succeed(claimed[1:])
        worker.succeed(claimed[:1])
        counts.append((len(claims), len(settles)))
    assert counts[0] == counts[1]
    assert counts[0] == (CLAIM_QUERIES, SETTLE_QUERIES)


def test_submit_takes_the_same_number_of_queries_for_any_number_of_tasks():
    submit_echo(1)
    counts = []
    for size in (2, 500):
        with CaptureQueriesContext(connection) as queries:
            submit_echo(size)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= SUBMIT_QUERIES


@pytest.mark.django_db(transaction=True)
def test_two_parents_that_end_at_the_same_time_unblock_their_child_once():
    for _ in range(10):
        job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
        hands = [register(), register()]
        tasks = [hand.claim(1) for hand in hands]
        barrier = threading.Barrier(2)

        def settle(hand, claimed, barrier=barrier):
            barrier.wait()
            hand.succeed(claimed)
            connection.close()

        threads = [
            threading.Thread(target=settle, args=pair) for pair in zip(hands, tasks, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses(job) == ["Succeeded", "Succeeded", "Queued"]
        last = hands[0].claim(1)
        hands[0].succeed(last)
        assert reloaded(job).status == "Succeeded"


def test_a_parent_that_is_to_run_again_unblocks_nobody():
    job = submit_pipeline(
        {"name": "a"}, {"name": "b", "needs": ["a"]}, {"name": "c", "collects": ["a"]}
    )
    worker = register()
    worker.fail(worker.claim(), "transient")
    assert statuses(job) == ["Queued", "Blocked", "Blocked"]
