"""Claiming: who gets which tasks, exactly, whatever the competition."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jobs import reaper
from jobs.models import Budget, Lease, Pool, Ready, Task
from jobs.policies import isolation
from jobs.transitions import claiming
from tests.integration.scenario import (
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_pipeline,
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
    submit_echo(3)
    crashed = register()
    crashed.fail(crashed.claim(3), "worker_lost")
    submit_echo(3)
    one, other = register(), register()
    (alone,) = one.claim(5)
    assert alone.run_alone
    assert [task.run_alone for task in other.claim(5)] == [True]


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


@pytest.mark.parametrize(
    ("lost", "attempt", "most", "alone"),
    [
        (0, 1, 5, False),
        (0, 5, 5, False),
        (0, 1, 1, True),
        (isolation.LEASE_RAN_OUT, 2, 5, False),
        (isolation.LEASE_RAN_OUT, 2, 2, True),
        (isolation.LEASE_RAN_OUT, 5, 5, True),
        (2 * isolation.LEASE_RAN_OUT, 3, 5, True),
        (isolation.RUNNER_DIED, 2, 5, True),
    ],
)
def test_what_a_task_has_lost_decides_whether_an_attempt_is_made_alone(lost, attempt, most, alone):
    submit_echo(1)
    Task.objects.update(workers_lost=lost, attempt=attempt - 1, max_attempts=most)
    worker = register()
    (claimed,) = worker.claim()
    assert (claimed.attempt, claimed.run_alone) == (attempt, alone)
    submit_echo(1, max_attempts=1)
    assert (worker.claim() == []) == alone


def test_a_task_that_kills_agents_never_costs_an_innocent_its_last_attempt():
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
def test_a_claim_that_stops_in_the_middle_gives_the_pools_lock_back(monkeypatch):
    monkeypatch.setattr(claiming, "POOL_IDLE_SECONDS", 0.3)
    submit_echo(2)
    worker = register()
    stopped, over = threading.Event(), threading.Event()

    def stop_in_the_middle():
        with suppress(DatabaseError), transaction.atomic():
            claiming.lock_pool(worker.worker.pool_id, durable=False)
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
