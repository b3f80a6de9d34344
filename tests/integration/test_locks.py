"""Somebody's session holds rows and does not end: the rest goes on, and nobody waits for long."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection

from access.actors import LOCAL_OPERATOR
from jobs import explainer, keeper, reaper
from jobs.actions import control, stuck
from jobs.actions.settle import SettleRequest, SettleStatus
from jobs.actions.settle_apart import Settler
from jobs.models import Job, Task, Worker
from jobs.transitions import claiming
from jobs.transitions.sql import execute
from tests.integration.agent_control_plane import until
from tests.integration.scenario import register, reloaded, statuses, submit_echo, success

pytestmark = pytest.mark.django_db(transaction=True)

Hold = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def hold(monkeypatch) -> Iterator[Hold]:
    """Holds all rows of jobs, or what a statement locks, in a session of its own."""
    monkeypatch.setattr(claiming, "POOL_LOCK_SECONDS", 0.2)
    execute("set lock_timeout = '200ms'")

    @contextmanager
    def holding(*jobs: Job, statement: str = "") -> Iterator[None]:
        database = connection.settings_dict
        with psycopg.connect(
            host=database["HOST"],
            port=database["PORT"],
            user=database["USER"],
            password=database["PASSWORD"],
            dbname=database["NAME"],
        ) as session:
            for job in jobs:
                for table, column in (("job", "id"), ("task", "job_id"), ("job_stage", "job_id")):
                    session.execute(f"select 1 from {table} where {column} = {job.pk} for update")
            if statement:
                session.execute(statement)
            yield
            session.rollback()

    yield holding
    execute("reset lock_timeout")


@contextmanager
def waiting_is_an_error(monkeypatch) -> Iterator[None]:
    """Whoever waits for a lock fails, and not as one that was locked out."""
    monkeypatch.setattr(claiming, "POOL_LOCK_SECONDS", 60)
    execute("set lock_timeout = '60s'")
    execute("set statement_timeout = '5s'")
    yield
    execute("reset statement_timeout")
    execute("set lock_timeout = '200ms'")


def jobs_of(tasks) -> set[int]:
    return {task.id >> 20 for task in tasks}


def expire_leases():
    execute("update lease set expires_at = clock_timestamp() - interval '1 second'")


def test_a_claim_goes_round_a_job_whose_rows_are_held(hold: Hold, monkeypatch):
    held, free = submit_echo(2), submit_echo(2)
    worker = register()
    with hold(held):
        assert jobs_of(worker.claim(4)) == {free.pk}
        later = submit_echo(1)
        with waiting_is_an_error(monkeypatch):
            assert jobs_of(worker.claim(4)) == {later.pk}


def test_a_job_that_was_gone_round_is_claimed_again_later(hold: Hold, monkeypatch):
    monkeypatch.setattr(stuck, "LEFT_ALONE_SECONDS", 0.5)
    held = submit_echo(2)
    worker = register()
    with hold(held):
        assert worker.claim(4) == []
    until(lambda: len(worker.claim(4)) == 2)


def test_a_pool_that_is_held_gives_nothing_and_takes_what_is_settled(hold: Hold):
    done, waiting = submit_echo(1), submit_echo(1)
    worker = register()
    (task,) = worker.claim(1)
    with hold(statement="select pg_advisory_xact_lock(20261, id) from pool"):
        execute("set lock_timeout = '60s'")
        execute("set statement_timeout = '5s'")
        assert register().claim(1) == []
        (answers,) = Settler().settle([SettleRequest(worker.worker, [success(task)])])
        execute("reset statement_timeout")
    assert [each.status for each in answers] == [SettleStatus.APPLIED]
    assert reloaded(done).status == "Succeeded"
    assert jobs_of(worker.claim(1)) == {waiting.pk}


def test_outcomes_of_a_held_job_are_busy_and_all_others_are_settled(hold: Hold, monkeypatch):
    held, free = submit_echo(2), submit_echo(2)
    one, other = register(), register()
    mine, others = one.claim(3), other.claim(1)
    requests = [
        SettleRequest(hand.worker, [success(task) for task in tasks])
        for hand, tasks in ((one, mine), (other, others))
    ]
    settler = Settler()
    with hold(held):
        answers = settler.settle(requests)
        with waiting_is_an_error(monkeypatch):
            repeated = settler.settle(requests[:1])
    busy, applied = SettleStatus.BUSY, SettleStatus.APPLIED
    assert [[told.status for told in each] for each in answers] == [
        [busy if task.id >> 20 == held.pk else applied for task in tasks]
        for tasks in (mine, others)
    ]
    assert reloaded(free).status == "Succeeded"
    assert SettleStatus.BUSY in [each.status for each in repeated[0]]
    again = Settler().settle(requests[:1])[0]
    assert [each.status for each in again][:2] == [applied, applied]
    assert reloaded(held).status == "Succeeded"


def test_lost_tasks_of_a_held_job_keep_no_others_from_being_queued(hold: Hold, monkeypatch):
    held, free = submit_echo(2), submit_echo(2)
    register().claim(4)
    expire_leases()
    monkeypatch.setattr(stuck, "LEFT_ALONE_SECONDS", 0.0)
    repairs = reaper.Reaper()
    with hold(statement=f"select 1 from job_stage where job_id = {held.pk} for update"):
        repairs.one_pass()
        assert statuses(free) == ["Queued", "Queued"]
        assert statuses(held) == ["Running", "Running"]
    repairs.one_pass()
    assert statuses(held) == ["Queued", "Queued"]


def test_overdue_tasks_of_a_held_job_keep_no_others_from_being_buried(hold: Hold):
    held, free = submit_echo(1), submit_echo(1)
    Job.objects.update(schedule_to_close_seconds=1)
    Job.objects.update(created_at="2020-01-01T00:00:00Z")
    Task.objects.update(created_at="2020-01-01T00:00:00Z")
    with hold(statement=f"select 1 from job_stage where job_id = {held.pk} for update"):
        keeper.Keeper().one_pass()
    assert statuses(free) == ["DeadLettered"]
    assert statuses(held) == ["Queued"]


def test_jobs_past_their_deadline_fail_beside_one_that_is_held(hold: Hold):
    held, late = submit_echo(1, deadline_seconds=60), submit_echo(1, deadline_seconds=60)
    Job.objects.update(deadline_at="2020-01-01T00:00:00Z")
    with hold(held):
        keeper.Keeper().one_pass()
    assert reloaded(late).status == "Failed"
    assert reloaded(held).failed_reason is None


def test_jobs_are_explained_beside_one_that_is_held(hold: Hold):
    held, free = submit_echo(1), submit_echo(1)
    with hold(held):
        explainer.one_pass()
    assert reloaded(free).reason_checked_at
    assert reloaded(held).reason_checked_at is None


def test_a_heartbeat_renews_leases_while_what_it_would_take_back_is_held(hold: Hold):
    job = submit_echo(1)
    worker = register()
    worker.claim()
    execute("update lease set granted_at = granted_at - interval '1 hour'")
    expire_leases()
    with hold(job):
        worker.beat([])
    assert reaper.Reaper().one_pass() == {"shares lost": 0}
    worker.beat([])
    assert statuses(job) == ["Queued"]


def test_a_cancel_is_taken_while_the_stages_are_held_and_carried_out_later(hold: Hold):
    job = submit_echo(2)
    with hold(statement=f"select 1 from job_stage where job_id = {job.pk} for update"):
        control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)
        assert reloaded(job).cancel_requested_at
    keeper.Keeper().one_pass()
    assert reloaded(job).status == "Cancelled"


def test_a_cancel_that_cannot_even_be_noted_is_refused_for_now(hold: Hold):
    job = submit_echo(2)
    with hold(job), pytest.raises(OperationalError):
        control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert reloaded(job).status == "Cancelled"


def test_silent_workers_are_forgotten_later_when_one_of_them_is_held(hold: Hold):
    worker = register()
    execute("update worker set heartbeat_at = heartbeat_at - interval '1 hour'")
    with hold(statement=f"select 1 from worker where id = {worker.worker.pk} for update"):
        keeper.Keeper().one_pass()
    assert Worker.objects.get(pk=worker.worker.pk).state == "Active"
    keeper.Keeper().one_pass()
    assert Worker.objects.get(pk=worker.worker.pk).state == "Gone"


def test_a_caller_that_waits_no_more_takes_no_task_along():
    submit_echo(1)
    worker = register()
    assert worker.claim(1, is_waiting=lambda: False) == []
    assert len(worker.claim(1)) == 1
