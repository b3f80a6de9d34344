"""Requeues at the same time as each other, as cancels, as ends: each pair or crowd by itself."""

import threading
from collections import Counter

import pytest
from django.db import connection

from access.actors import LOCAL_OPERATOR
from audit.events import INTERNAL, Action
from audit.integrity import verify_chain
from audit.models import AuditEntry
from jobs import integrity
from jobs.actions import control
from jobs.actions.trails import JobTrail
from jobs.errors import DaefError, RateLimited, RequestInFlight
from jobs.models import RequeueWindow, Task
from jobs.policies import causes
from tests.integration.burials import buried, names, requeue
from tests.integration.overlap import overlapping
from tests.integration.scenario import register, reloaded, statuses, submit_pipeline

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 50


@pytest.fixture(autouse=True)
def sound():
    yield
    assert integrity.check_all() == []
    assert verify_chain() is None


def crowd(count, call):
    """What ``count`` callers are told who ask at the same moment, each on its own connection."""
    barrier = threading.Barrier(count)
    told: list[dict[str, object] | DaefError] = []

    def one(number):
        try:
            barrier.wait(20)
            told.append(call(number))
        except DaefError as error:
            told.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == count
    return told


def test_fifty_requeues_at_once_never_pass_the_rate_by_one(settings, calm_minute):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 7
    job = buried(CROWD)
    told = crowd(CROWD, lambda number: requeue(names(job, number + 1)))
    refused = [each for each in told if isinstance(each, RateLimited)]
    assert len(told) - len(refused) == 7
    assert statuses(job).count("Queued") == 7
    assert all(0 <= each.retry_after_seconds - calm_minute() <= 10 for each in refused)
    assert RequeueWindow.objects.get().used == 7
    results = Counter(AuditEntry.objects.values_list("result", flat=True))
    assert results == {"ok": 7, "refused": 43}


def test_fifty_requeues_of_a_cause_take_no_more_than_the_cap_each(settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1000
    buried(CROWD)
    cause = causes.fingerprint("broken", "it broke")
    told = crowd(CROWD, lambda number: requeue(cause=cause))
    assert max(each["requested"] for each in told) == 2
    assert sum(each["requeued"] for each in told) == CROWD
    assert set(Task.objects.values_list("generation", "status")) == {(2, "Queued")}


def test_operators_who_requeue_the_same_set_share_it(settings):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1000
    job = buried(20)
    told = crowd(6, lambda number: requeue(names(job, *range(1, 21))))
    assert sum(each["requeued"] for each in told) == 20
    assert sum(len(each["skipped"]) for each in told) == 100
    assert {skip["reason"] for each in told for skip in each["skipped"]} == {"not_dead_lettered"}
    assert reloaded(job).generation == 2


def test_requeues_and_tenants_retries_of_many_jobs_never_open_a_task_twice(settings):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1000
    jobs = [buried(3) for _ in range(4)]
    every = [name for job in jobs for name in names(job, 1, 2, 3)]

    def call(number):
        if number % 2:
            return requeue(every if number % 4 == 1 else every[::-1])
        job = jobs[number // 2 % 4]
        return {"requeued": control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)}

    told = crowd(8, call)
    assert sum(each["requeued"] for each in told) == 12
    assert set(Task.objects.values_list("generation", flat=True)) == {2}


def test_one_key_used_by_many_at_once_does_it_once(settings):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1000
    job = buried()
    told = crowd(8, lambda number: requeue(names(job), key="k"))
    answers = [each for each in told if isinstance(each, dict)]
    assert all(each == answers[0] and each["requeued"] == 1 for each in answers)
    assert all(isinstance(each, RequestInFlight) for each in told if each not in answers)
    assert AuditEntry.objects.filter(result="ok").count() == 1


def test_a_job_that_is_cancelled_in_the_very_moment_is_left_and_the_others_are_opened():
    other = buried()
    cancelled, hand = submit_pipeline({"name": "a"}, {"name": "b"}), register()
    hand.fail(hand.claim(1))
    trail = JobTrail(Action.JOB_CANCEL, LOCAL_OPERATOR, INTERNAL, cancelled.pk)
    told = []
    asked = [*names(cancelled), *names(other)]
    overlapping(
        lambda: control._request_cancel(trail),
        lambda: told.append(requeue(asked)),
    )
    assert told[0]["requeued"] == 1
    assert told[0]["skipped"] == [{"task": names(cancelled)[0], "reason": "job_cancelled"}]
    assert statuses(other) == ["Queued"]
    control.close_tasks(cancelled.pk, code="cancelled", message="")


def test_a_needed_task_that_dies_in_the_very_moment_leaves_its_dependent_cancelled():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
    one, other = register(), register()
    first, second = one.claim(1), other.claim(1)
    one.fail(first)
    assert overlapping(lambda: other.fail(second), lambda: requeue(names(job, 1)))
    assert statuses(job) == ["Queued", "DeadLettered", "Cancelled"]
