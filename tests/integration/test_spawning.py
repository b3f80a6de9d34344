"""What a task may add to its job, and what it may not."""

import pytest

from jobs.actions.settle import Report, ReportKind, SettleStatus
from jobs.actions.spawning import SpawnOrder
from jobs.models import JobStage, Task
from jobs.states import MAX_PARAMETERS_BYTES, MAX_TASKS
from jobs.transitions import submission
from jobs.transitions.sql import execute
from tests.integration.overlap import overlapping
from tests.integration.scenario import (
    register,
    reloaded,
    statuses,
    submit_job,
    success,
)

pytestmark = pytest.mark.django_db

LABEL = SpawnOrder("label-0", "label", "{}", "{}", "smollm2-135m")


def at_cluster():
    job = submit_job({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    worker = register()
    worker.succeed(worker.claim(1))
    return job, worker, worker.claim(1)[0]


def settled(worker, cluster, *orders):
    return worker.settle(success(cluster)._replace(spawned=orders))[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "x" * 256}, "needs a name"),
        ({"input": "{"}, "JSON input"),
        ({"name": "label\x00"}, "needs a name"),
        ({"parameters": f'"{"x" * MAX_PARAMETERS_BYTES}"'}, "the parameters of a task may have"),
        ({"parameters": "nonsense"}, "JSON parameters"),
        ({"model": "gpt-17"}, "does not use the model"),
        ({"kind": "embed-more"}, "no stage"),
    ],
)
def test_an_order_that_cannot_be_is_rejected_and_the_task_is_a_dead_letter(change, words):
    job, worker, cluster = at_cluster()
    answer = settled(worker, cluster, LABEL._replace(**change))
    assert answer.status == SettleStatus.REJECTED
    assert words in answer.message
    assert statuses(job)[1:] == ["DeadLettered", "Queued"]


def test_a_task_spawns_as_many_as_planned_and_not_one_more():
    orders = [LABEL._replace(name=f"label-{number}") for number in range(3)]
    for planned, status in ((3, SettleStatus.APPLIED), (2, SettleStatus.REJECTED)):
        job, worker, cluster = at_cluster()
        JobStage.objects.filter(job_id=job.pk, name="label").update(planned_max=planned)
        assert settled(worker, cluster, *orders).status == status
        execute("update task set status = 'Cancelled', finished_at = now() where status = 'Queued'")
        execute("delete from ready")


def test_a_job_never_grows_beyond_the_most_tasks_there_may_be():
    for total, status in (
        (MAX_TASKS - 1, SettleStatus.APPLIED),
        (MAX_TASKS, SettleStatus.REJECTED),
    ):
        job, worker, cluster = at_cluster()
        execute("update job set total_tasks = %s where id = %s", (total, job.pk))
        assert settled(worker, cluster, LABEL).status == status
        execute("update task set status = 'Cancelled', finished_at = now() where status = 'Queued'")
        execute("delete from ready")


def test_a_failed_task_spawns_nothing():
    job, worker, cluster = at_cluster()
    for kind in (ReportKind.FAILED, ReportKind.RELEASED):
        worker.settle(Report(cluster.id, cluster.epoch, kind, spawned=(LABEL,)))
    assert reloaded(job).total_tasks == 3


def test_spawned_tasks_have_the_next_numbers_of_their_job_and_its_limits():
    job, worker, cluster = at_cluster()
    execute("update task set max_attempts = 2, priority = 100 where id = %s", (cluster.id,))
    settled(worker, cluster, LABEL, LABEL._replace(name="label-1"))
    first, second = Task.objects.filter(kind="label").order_by("id")
    assert [first.pk, second.pk] == [job.pk << 20 | 4, job.pk << 20 | 5]
    assert (first.job_id, first.tenant_id, first.pool_id) == (job.pk, job.tenant_id, job.pool_id)
    assert (first.max_attempts, first.priority, first.fanout, first.waiting) == (2, 100, 1, 0)
    assert reloaded(job).total_tasks == 5


@pytest.mark.django_db(transaction=True)
def test_tasks_that_two_tasks_of_a_job_add_in_the_same_moment_are_numbered_apart():
    documents = [f"letter {number}" for number in range(101)]
    job = submit_job({"type": "analyze", "input": "why?", "documents": documents})
    worker, other = register(), register()
    first, second = worker.claim(2)
    (third,) = other.claim(1)
    worker.succeed([second])
    # Else the second would wait for the first to name what its task asks of a worker.
    submission.intern_capabilities({(LABEL.kind, LABEL.model)})
    waited = overlapping(
        lambda: settled(worker, first, LABEL),
        lambda: settled(other, third, LABEL._replace(name="label-1")),
    )
    assert waited
    assert reloaded(job).total_tasks == 3 + 2 + 2
    assert Task.objects.filter(kind="label").count() == 2
    assert Task.objects.get(kind="cluster").waiting == 2
