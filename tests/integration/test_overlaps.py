"""What one transaction does while another has not committed, each pair by itself."""

import pytest

from access.actors import LOCAL_OPERATOR
from jobs import integrity, ticketer
from jobs.actions import control
from jobs.actions.spawning import SpawnOrder
from jobs.actions.transactions import in_transaction
from jobs.errors import RequestInFlight, StateConflict
from jobs.models import Job, Lease, Task
from jobs.states import Reason
from jobs.transitions import closing, jobs
from jobs.transitions.sql import fetch
from tests.integration.overlap import overlapping
from tests.integration.scenario import (
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_claim_sees_what_an_uncommitted_claim_has_taken_of_the_parallelism():
    job = submit_echo(6, max_parallelism=3)
    one, other = register(), register()
    assert overlapping(lambda: one.claim(3), lambda: other.claim(3))
    assert statuses(job).count("Running") == 3


def test_a_claim_does_not_wait_for_what_a_cancel_holds():
    cancelled, other = submit_echo(2), submit_echo(2)
    hand = register()
    taken = []
    assert not overlapping(
        lambda: control.close_tasks(cancelled.pk, code="cancelled", message=""),
        lambda: taken.extend(hand.claim(4)),
    )
    assert {task.id >> 20 for task in taken} == {other.pk}


def test_the_second_of_two_parents_that_end_together_unblocks_their_child():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "collects": ["a", "b"]})
    one, other = register(), register()
    first, second = one.claim(1), other.claim(1)
    overlapping(lambda: one.succeed(first), lambda: other.succeed(second))
    assert statuses(job) == ["Succeeded", "Succeeded", "Queued"]


def test_two_tasks_of_one_lease_that_end_together_leave_no_lease_behind():
    submit_echo(2)
    hand = register()
    first, second = hand.claim(2)
    assert overlapping(lambda: hand.succeed([first]), lambda: hand.succeed([second]))
    assert integrity.check_all() == []
    assert not Lease.objects.exists()


def test_the_second_of_two_last_tasks_that_end_together_ends_the_job():
    job = submit_pipeline({"name": "a"}, {"name": "b", "kind": "chat", "input": {"prompt": "x"}})
    one, other = register(kinds=["echo"]), register(kinds=["chat"])
    first, second = one.claim(1), other.claim(1)
    overlapping(lambda: one.succeed(first), lambda: other.succeed(second))
    assert reloaded(job).status == "Succeeded"
    assert integrity.check_all() == []


def test_a_task_that_ends_during_a_retry_counts_for_a_dependent_that_the_retry_blocks():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
    one, other = register(), register()
    first, second = one.claim(1), other.claim(1)
    one.fail(first)
    overlapping(
        lambda: control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR),
        lambda: other.succeed(second),
    )
    assert integrity.check_all() == []
    one.succeed(one.claim(1))
    assert statuses(job) == ["Succeeded", "Succeeded", "Queued"]


def test_a_spawned_task_that_ends_while_its_spawner_is_retried_is_not_counted_twice():
    job = submit_job({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    Job.objects.filter(pk=job.pk).update(max_failed_percent=None)
    worker, other = register(), register()
    worker.fail(worker.claim(1))
    (cluster,) = worker.claim(1)
    order = SpawnOrder("label-0", "label", "{}", "{}", "smollm2-135m")
    worker.settle(success(cluster)._replace(spawned=(order,)))
    label = other.claim(1)
    overlapping(
        lambda: control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR),
        lambda: other.succeed(label),
    )
    assert integrity.check_all() == []


def test_a_cancel_that_comes_during_a_retry_is_not_undone():
    job = submit_echo(2)
    worker = register()
    worker.fail(worker.claim(1))
    with pytest.raises(StateConflict):
        overlapping(
            lambda: control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR),
            lambda: control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR),
        )
    assert reloaded(job).status == "Cancelled"


def test_two_retries_at_the_same_time_open_one_generation():
    job = submit_echo(2)
    worker = register()
    worker.fail(worker.claim(2))
    retry = lambda: control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)  # noqa: E731
    overlapping(retry, retry)
    assert reloaded(job).generation == 2
    assert set(Task.objects.values_list("generation", flat=True)) == {2}
    assert integrity.check_all() == []


def test_a_submission_that_comes_while_its_key_is_in_use_is_told_so():
    body = {"type": "chat", "input": "hello"}
    submit_job(body)
    with pytest.raises(RequestInFlight):
        overlapping(lambda: submit_job(body, key="k"), lambda: submit_job(body, key="k"))
    submit_job(body, key="k")
    assert Job.objects.count() == 2


def test_a_transaction_that_lost_a_deadlock_is_run_again():
    first, second = submit_echo(1), submit_echo(1)
    lock = "select 1 from job where id = %s for update"
    tries = []

    @in_transaction
    def crosswise():
        tries.append(1)
        fetch(lock, (second.pk,))
        fetch(lock, (first.pk,))

    def straight():
        # So that the other one is chosen.
        fetch("set local deadlock_timeout = '1min'")
        fetch(lock, (first.pk,))

    def cross_over():
        fetch(lock, (second.pk,))

    overlapping(straight, crosswise, then=cross_over)
    # More than twice where it comes back before the other one has taken what it waited for.
    assert len(tries) > 1


@pytest.mark.parametrize("parked_first", [True, False])
def test_tasks_that_are_parked_while_their_job_is_resumed_run_all_the_same(parked_first):
    job = submit_echo(2)
    jobs.suspend(job.pk, actor="")
    park = lambda: closing.park(job.pk)  # noqa: E731
    resume = lambda: control.resume_job(job_id=job.pk, actor=LOCAL_OPERATOR)  # noqa: E731
    overlapping(*((park, resume) if parked_first else (resume, park)))
    ticketer.move_due()
    assert len(register().claim(2)) == 2


@pytest.mark.parametrize(
    "ends",
    [
        lambda job: jobs.request_cancel(job, actor=""),
        lambda job: jobs.fail(job, Reason.DEADLINE_EXCEEDED),
    ],
    ids=["cancelled", "failing"],
)
def test_a_job_that_begins_to_end_at_that_moment_is_not_suspended(ends):
    job = submit_echo(1)
    overlapping(
        lambda: ends(job.pk),
        lambda: control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR),
    )
    assert reloaded(job).suspended_at is None
