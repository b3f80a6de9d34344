"""Claiming: who gets which tasks, exactly, whatever the competition."""

import itertools
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jobs import reaper
from jobs.models import Budget, Lease, Pool, Ready, Task
from jobs.transitions import claiming
from jobs.transitions.settling import UsageRow
from jobs.transitions.sql import execute, fetch
from tests.integration.scenario import (
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_pipeline,
    success,
    tenant,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def test_a_claimed_task_runs_under_a_lease_of_its_worker():
    job = submit_echo(1)
    worker = register()
    (claimed,) = worker.claim(4)
    task = Task.objects.get(pk=claimed.id)
    assert (task.status, task.owner, task.attempt, task.epoch) == (
        "Running",
        worker.worker.pk,
        1,
        1,
    )
    assert Lease.objects.get(job_id=job.pk).task_ids == [task.pk]
    assert reloaded(job).status == "Running"


def test_a_claim_takes_no_more_than_it_wants_and_the_oldest_job_first():
    first = submit_echo(3)
    submit_echo(3)
    claimed = register().claim(3)
    assert {task.id >> 20 for task in claimed} == {first.pk}
    assert Ready.objects.count() == 3


def test_an_interactive_job_is_claimed_before_older_batch_work():
    submit_echo(5, priority="batch")
    urgent = submit_echo(1, priority="interactive")
    (claimed,) = register().claim(1)
    assert claimed.id >> 20 == urgent.pk


def test_two_tenants_are_served_in_turns():
    submit_echo(50, owner="alice")
    submit_echo(50, owner="bob")
    worker = register()
    claimed = [task.id >> 20 for _ in range(10) for task in worker.claim(2)]
    counts = {job: claimed.count(job) for job in set(claimed)}
    assert sorted(counts.values()) == [10, 10]


def test_a_job_never_runs_more_tasks_than_its_parallelism():
    submit_echo(10, max_parallelism=3)
    worker = register()
    assert len(worker.claim(10)) == 3
    assert worker.claim(10) == []


def test_a_job_at_its_parallelism_does_not_hold_up_the_next():
    submit_echo(5, max_parallelism=1)
    other = submit_echo(5)
    worker = register()
    claimed = [task.id >> 20 for task in worker.claim(5)]
    assert claimed.count(other.pk) == 4


def test_a_tenant_never_runs_more_tasks_than_its_limit():
    owner = tenant("alice")
    owner.max_running_tasks = 2
    owner.save()
    submit_echo(5, owner="alice")
    submit_echo(5, owner="alice")
    worker = register()
    assert len(worker.claim(5)) == 2
    assert worker.claim(5) == []


def test_a_pool_never_runs_more_tasks_than_its_limit():
    Pool.objects.update_or_create(name="default", defaults={"max_running_tasks": 3})
    submit_echo(5, owner="alice")
    submit_echo(5, owner="bob")
    one, other = register(), register()
    assert len(one.claim(2)) == 2
    assert len(other.claim(5)) == 1
    assert one.claim(5) == other.claim(5) == []


def test_a_task_that_has_to_run_alone_is_claimed_alone():
    job = submit_echo(60)
    cases = itertools.product(range(4), range(4), range(1, 6))
    legal = [case for case in cases if case[1] < case[2]]
    for number, (lost, attempt, most) in enumerate(legal, 1):
        Task.objects.filter(pk=job.pk << 20 | number).update(
            workers_lost=lost, attempt=attempt, max_attempts=most
        )
    claims = []
    while claimed := register().claim(60):
        claims.append({task.run_alone for task in claimed} if len(claimed) > 1 else claimed[0])
        assert len(claimed) == 1 or not any(task.run_alone for task in claimed)
    together = [isinstance(claim, set) or not claim.run_alone for claim in claims]
    # Two claims of ordinary tasks in a row: one of them was taken for what it is not.
    assert not any(pair == (True, True) for pair in itertools.pairwise(together))
    assert together.count(True) > 1
    Task.objects.update(attempt=1, workers_lost=0, max_attempts=5)


def test_a_worker_holds_one_task_at_a_time_that_has_to_run_alone():
    submit_echo(3, max_attempts=1)
    worker = register()
    (first,) = worker.claim(3)
    assert worker.claim(3) == []
    worker.succeed([first])
    assert len(worker.claim(3)) == 1


def test_tasks_before_the_one_that_has_to_run_alone_are_claimed_first():
    submit_echo(2)
    submit_echo(2, max_attempts=1)
    worker = register()
    assert [task.run_alone for task in worker.claim(4)] == [False, False]
    assert [task.run_alone for task in worker.claim(4)] == [True]


def test_a_task_that_kills_agents_takes_no_innocent_along_to_the_dead_letters():
    job = submit_echo(6, max_attempts=3)
    poison = job.pk << 20 | 3
    done: dict[int, int] = {}
    while Task.objects.filter(job_id=job.pk, status="Queued").exists():
        worker = register()
        claimed = worker.claim(8)
        assert claimed
        if poison in [task.id for task in claimed]:
            lose(claimed)
        else:
            worker.succeed(claimed)
            done |= {task.id: task.attempt for task in claimed}
    assert set(done.values()) == {3}
    assert len(done) == 5
    assert Task.objects.get(pk=poison).status == "DeadLettered"


def lose(tasks) -> None:
    """The worker that claimed these is gone for good."""
    owners = Task.objects.filter(id__in=[task.id for task in tasks]).values("owner")
    Lease.objects.filter(owner__in=owners).update(expires_at=timezone.now() - timedelta(days=1))
    assert reaper.reap_leases() == len(tasks)


@pytest.mark.django_db(transaction=True)
def test_what_follows_a_claim_in_its_session_waits_for_the_disk():
    submit_echo(1)
    assert register().claim()
    assert fetch("show synchronous_commit") == [("on",)]


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_stops_in_the_middle_gives_the_pools_lock_back(monkeypatch):
    monkeypatch.setattr(claiming, "POOL_IDLE_SECONDS", 0.3)
    submit_echo(2)
    worker = register()
    stopped, over = threading.Event(), threading.Event()

    def stop_in_the_middle():
        with suppress(DatabaseError), transaction.atomic():
            claiming.lock_pool(worker.worker.pool_id)
            stopped.set()
            over.wait(20)
        connection.close()

    thread = threading.Thread(target=stop_in_the_middle)
    thread.start()
    assert stopped.wait(10)
    assert len(worker.claim(2)) == 2
    over.set()
    thread.join()


def test_a_worker_gets_only_kinds_it_has_executors_for():
    submit_echo(2)
    assert register(kinds=["chat"]).claim(2) == []


def test_a_worker_gets_only_models_it_can_reach():
    from tests.integration.scenario import submit_job

    submit_job({"type": "chat", "input": "hello"})
    assert register(models=[]).claim(1) == []
    assert len(register().claim(1)) == 1


def test_a_worker_of_another_pool_gets_nothing():
    submit_echo(2)
    assert register(pool="other").claim(2) == []


def test_a_worker_bound_to_a_tenant_gets_only_its_tasks():
    submit_echo(2, owner="alice")
    mine = submit_echo(2, owner="bob")
    claimed = register(owner="bob").claim(4)
    assert {task.id >> 20 for task in claimed} == {mine.pk}


def test_blocked_tasks_are_not_claimed():
    submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    assert [task.name for task in register().claim(5)] == ["a"]


def test_a_claim_reserves_the_ceiling_of_what_it_takes():
    from tests.integration.scenario import submit_job

    job = submit_job({"type": "chat", "input": "hello"})
    (claimed,) = register().claim(1)
    assert claimed.ceiling_nano_usd > 0
    assert Budget.objects.get(pk=job.pk).reserved_nano_usd == claimed.ceiling_nano_usd


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_the_same_time_never_share_a_task():
    job = submit_echo(200)
    hands = [register() for _ in range(4)]
    taken: list[int] = []

    def drain(hand):
        while claimed := hand.claim(7):
            taken.extend(task.id for task in claimed)
        connection.close()

    threads = [threading.Thread(target=drain, args=(hand,)) for hand in hands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 200
    assert set(statuses(job)) == {"Running"}


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_the_same_time_keep_the_parallelism_of_a_job():
    job = submit_echo(100, max_parallelism=5)
    hands = [register() for _ in range(4)]

    def grab(hand):
        for _ in range(5):
            hand.claim(3)
        connection.close()

    threads = [threading.Thread(target=grab, args=(hand,)) for hand in hands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses(job).count("Running") == 5


@pytest.mark.parametrize(
    "ending",
    [
        "failed_reason = 'DeadlineExceeded'",
        "cancel_requested_at = now()",
        "suspended_at = now(), status = 'Suspended', reason = 'Suspended'",
    ],
)
def test_a_job_that_is_to_end_or_to_wait_gives_out_nothing(ending):
    job = submit_echo(3, max_parallelism=3)
    execute(f"update job set {ending} where id = %s", (job.pk,))
    other = submit_echo(2)
    assert {task.id >> 20 for task in register().claim(5)} == {other.pk}


def test_a_worker_that_drains_gets_nothing():
    submit_echo(1)
    worker = register()
    execute("update worker set state = 'Draining'")
    assert worker.claim() == []
    assert worker.beat([]).drain
    assert not worker.beat([]).work_waiting


def test_a_tenant_that_comes_late_has_no_arrears_to_catch_up():
    early = submit_echo(60, owner="alice")
    worker = register()
    for _ in range(15):
        worker.claim(2)
    late = submit_echo(60, owner="bob")
    claimed = [task.id >> 20 for task in worker.claim(20)]
    assert 8 <= claimed.count(early.pk) <= 12
    assert claimed.count(early.pk) + claimed.count(late.pk) == 20


def test_a_tenants_share_is_counted_in_each_priority_class_for_itself():
    for priority in ("interactive", "standard", "batch"):
        submit_echo(3, owner="alice", priority=priority)
    worker = register()
    claimed = [task for _ in range(9) for task in worker.claim(1)]
    assert len(claimed) == 9


def test_a_tenants_limit_counts_what_it_runs_in_that_pool_only():
    owner = tenant("alice")
    owner.max_running_tasks = 2
    owner.save()
    submit_echo(2, owner="bob")
    submit_echo(2, owner="alice")
    assert len(register().claim(9)) == 4


def test_a_job_whose_budget_is_all_reserved_takes_nothing_more():
    chat = {"kind": "chat", "input": {"prompt": "x"}}
    job = submit_pipeline({"name": "a", **chat}, {"name": "b", **chat})
    (first, second) = Task.objects.values_list("ceiling_nano_usd", flat=True)
    Budget.objects.filter(pk=job.pk).update(limit_nano_usd=first + second - 1)
    worker = register()
    assert len(worker.claim(1)) == 1
    assert worker.claim(1) == []


def test_spent_money_is_not_there_for_the_next_task():
    chat = {"kind": "chat", "input": {"prompt": "x"}}
    job = submit_pipeline({"name": "a", **chat}, {"name": "b", **chat})
    (first, second) = Task.objects.values_list("ceiling_nano_usd", flat=True)
    Budget.objects.filter(pk=job.pk).update(limit_nano_usd=first + second - 1)
    worker = register()
    (task,) = worker.claim(1)
    entry = UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 1, 1, first, False)
    worker.settle(success(task)._replace(usage=(entry,)))
    assert worker.claim(1) == []
    execute("update budget set limit_nano_usd = limit_nano_usd + 1")
    assert len(worker.claim(1)) == 1
