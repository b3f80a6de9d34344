"""Claiming: who gets which tasks, exactly, whatever the competition."""

import threading

import pytest
from django.db import connection

from jobs.models import Budget, Lease, Ready, Task
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
