"""What is done to one job changes nothing of another tenant's, whatever state that is in."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from access.actors import LOCAL_OPERATOR
from access.throttles import take_submission
from jobs import explainer, integrity, keeper, reaper, ticketer
from jobs.actions import control, fleet, retention
from jobs.actions.artifacts import append_log, write
from jobs.actions.files import delete_file
from jobs.actions.settle import Report, ReportKind
from jobs.models import File, Job, Task
from jobs.transitions.sql import execute
from tests.integration.neighbour import LABELS, move_in, rows_next_door, usage_of
from tests.integration.scenario import (
    Hand,
    failure,
    register,
    statuses,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
    tenant,
)

pytestmark = pytest.mark.django_db

OURS = "tenant_id = (select id from tenant where name = 'default')"


def fan() -> tuple[Job, Hand]:
    """A job with two tasks, one that needs both and one that collects both."""
    job = submit_pipeline(
        {"name": "a", "kind": "chat", "input": {"prompt": "x"}},
        {"name": "b"},
        {"name": "c", "needs": ["a", "b"]},
        {"name": "d", "collects": ["a", "b"]},
    )
    return job, register()


def succeed() -> None:
    job, hand = fan()
    while tasks := hand.claim(4):
        hand.settle(*(success(task)._replace(usage=usage_of(task)) for task in tasks))
    assert statuses(job) == ["Succeeded"] * 4


def fail_and_retry() -> None:
    job, hand = fan()
    hand.settle(*map(failure, hand.claim(4)))
    assert statuses(job) == ["DeadLettered", "DeadLettered", "Cancelled", "Queued"]
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert statuses(job) == ["Queued", "Queued", "Blocked", "Blocked"]


def back_off_and_come_back() -> None:
    job, hand = fan()
    hand.fail(hand.claim(4), "transient")
    execute("update delayed set due_at = now() where task_id >> 20 = %s", (job.pk,))
    assert ticketer.move_due() == 2
    assert len(hand.claim(4)) == 2


def release_and_settle_late() -> None:
    _, hand = fan()
    tasks = hand.claim(4)
    hand.settle(*(Report(task.id, task.epoch, ReportKind.RELEASED) for task in tasks))
    hand.settle(*(success(task)._replace(usage=usage_of(task)) for task in tasks))


def spawn() -> None:
    job = submit_job({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    hand = register()
    hand.succeed(hand.claim())
    hand.settle(success(hand.claim()[0])._replace(spawned=LABELS))
    execute(f"update task set max_attempts = 1 where {OURS}")
    hand.succeed(hand.claim())
    hand.fail(hand.claim())
    control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)


def suspend_and_resume() -> None:
    job, hand = fan()
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert hand.claim(4) == []
    control.resume_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert ticketer.move_due() == 2


def cancel() -> None:
    job, hand = fan()
    hand.claim(1)
    control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert set(statuses(job)) == {"Cancelled"}


def lose_a_worker() -> None:
    job, hand = fan()
    hand.claim(1)
    execute(f"update lease set expires_at = now() - interval '1 minute' where {OURS}")
    assert reaper.reap_leases() == 1
    assert statuses(job)[:2] == ["Queued", "Queued"]


def lose_a_claims_answer() -> None:
    job, hand = fan()
    hand.claim(4)
    execute(f"update lease set granted_at = now() - interval '1 minute' where {OURS}")
    hand.beat([])
    assert statuses(job)[:2] == ["Queued", "Queued"]


def leave() -> None:
    job, hand = fan()
    hand.claim(4)
    fleet.deregister(hand.worker)
    assert statuses(job)[:2] == ["Queued", "Queued"]


def fall_silent() -> None:
    hand = register()
    execute("update worker set heartbeat_at = now() - interval '1 day' where id = %s", (
        hand.worker.pk,
    ))  # fmt: skip
    assert keeper.Keeper().one_pass()["workers gone"] == 1


def pass_the_deadline() -> None:
    job, hand = fan()
    hand.claim(1)
    Job.objects.filter(pk=job.pk).update(deadline_at=job.created_at)
    keeper.Keeper().one_pass()
    assert set(statuses(job)) == {"Cancelled"}


def wait_too_long() -> None:
    job, _ = fan()
    Job.objects.filter(pk=job.pk).update(
        schedule_to_start_seconds=1, created_at=job.created_at - timedelta(minutes=1)
    )
    execute(f"update task set queued_at = now() - interval '1 minute' where {OURS}")
    assert keeper.bury_overdue() == 2
    assert statuses(job) == ["DeadLettered", "DeadLettered", "Cancelled", "Queued"]


def use_up_the_budget() -> None:
    job, hand = fan()
    execute("update budget set limit_nano_usd = 1 where job_id = %s", (job.pk,))
    hand.succeed(hand.claim(4))
    keeper.Keeper().one_pass()
    assert Job.objects.get(pk=job.pk).status == "Failed"


def forget() -> None:
    job, hand = fan()
    hand.settle(*map(failure, hand.claim(4)))
    hand.succeed(hand.claim(4))
    execute("update job set finished_at = now() - interval '9 days' where id = %s", (job.pk,))
    assert retention.clean_up(days=3)["old jobs deleted"] == 1
    assert not Task.objects.filter(id__gte=job.pk << 20, id__lt=(job.pk + 1) << 20).exists()


def write_and_log() -> None:
    _, hand = fan()
    (task,) = hand.claim(1)
    write(hand.worker.pk, fleet.Share(task.id, task.epoch), "text/plain", [b"next door"])
    append_log(hand.worker.pk, [(task.id, task.epoch, "here too")])


def delete_our_file() -> None:
    file = File.objects.get()
    file.pk, file.uid, file.tenant = None, "12345678123456781234567812345678", tenant()
    file.save()
    delete_file(file=file)
    execute("delete from submit_window")
    take_submission(tenant().pk)


def reach_limits() -> None:
    own = tenant()
    own.max_running_tasks = 2
    own.save()
    submit_echo(3, max_parallelism=1)
    submit_echo(3)
    assert len(register().claim(9)) == 2


DEEDS = (
    succeed,
    fail_and_retry,
    back_off_and_come_back,
    release_and_settle_late,
    spawn,
    suspend_and_resume,
    cancel,
    lose_a_worker,
    lose_a_claims_answer,
    leave,
    fall_silent,
    pass_the_deadline,
    wait_too_long,
    use_up_the_budget,
    forget,
    write_and_log,
    delete_our_file,
    reach_limits,
)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_a_neighbour_notices_nothing(deed: Callable[[], None]):
    move_in()
    explainer.one_pass()
    before = rows_next_door()
    deed()
    after = rows_next_door()
    assert {table: rows for table, rows in after.items() if rows != before[table]} == {}
    assert integrity.check_all() == []
