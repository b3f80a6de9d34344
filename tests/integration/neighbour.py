"""A tenant next door, in another pool, with work in every state; and all its rows, to compare."""

import io
import uuid
from typing import Any

from django.utils import timezone

from access.actors import LOCAL_OPERATOR
from jobs.actions import control
from jobs.actions.artifacts import append_log
from jobs.actions.files import store_file
from jobs.actions.settle import Report, ReportKind
from jobs.actions.spawning import SpawnOrder
from jobs.models import Policy, PolicyRevision, Task
from jobs.transitions.claiming import ClaimedRow
from jobs.transitions.settling import UsageRow
from jobs.transitions.sql import execute, fetch
from tests.integration.scenario import Hand, failure, register, submit_job, success, tenant

NAME = "next-door"
LABELS = (SpawnOrder("label-0", "label", "{}", "{}", "smollm2-135m"),)

# Every table whose rows are somebody's, and how to tell whose.
OWNED = {
    "job": "tenant_id = %(tenant)s",
    "job_stage": "job_id in (select id from job where tenant_id = %(tenant)s)",
    "budget": "job_id in (select id from job where tenant_id = %(tenant)s)",
    "task": "id >> 20 in (select id from job where tenant_id = %(tenant)s)",
    "task_input": "job_id in (select id from job where tenant_id = %(tenant)s)",
    "ready": "tenant_id = %(tenant)s",
    "delayed": "task_id >> 20 in (select id from job where tenant_id = %(tenant)s)",
    "edge": "parent_id >> 20 in (select id from job where tenant_id = %(tenant)s)",
    "lease": "tenant_id = %(tenant)s",
    "dead_letter": "tenant_id = %(tenant)s",
    "attempt": "task_id >> 20 in (select id from job where tenant_id = %(tenant)s)",
    "usage_entry": "tenant_id = %(tenant)s",
    "task_log": "task_id >> 20 in (select id from job where tenant_id = %(tenant)s)",
    "job_event": "job_id in (select id from job where tenant_id = %(tenant)s)",
    "idempotency_record": "tenant_id = %(tenant)s",
    "artifact": "tenant_id = %(tenant)s",
    "artifact_chunk": "tenant_id = %(tenant)s",
    "file": "tenant_id = %(tenant)s",
    "served_time": "tenant_id = %(tenant)s",
    "submit_window": "tenant_id = %(tenant)s",
    "worker": "pool_id = (select id from pool where name = 'next-door')",
}


def rows_next_door() -> dict[str, list[Any]]:
    """Every row of the neighbour by table, as text."""
    parameters = {"tenant": tenant(NAME).pk}
    return {
        table: fetch(f"select x::text from {table} x where {whose} order by 1", parameters)
        for table, whose in OWNED.items()
    }


def move_in() -> None:
    """Give the neighbour jobs whose tasks are blocked, queued, parked, backing off, running,
    succeeded, dead-lettered and cancelled, with all that hangs on them.

    Their numbers are on both sides of those that other jobs get afterwards.
    """
    ours = PolicyRevision.objects.get(policy__name="enterprise-default")
    policy = Policy.objects.create(name=NAME)
    spec = {**ours.spec, "pool": NAME}
    policy.current = PolicyRevision.objects.create(policy=policy, number=1, spec=spec)
    policy.save()
    hand = register(pool=NAME, owner=NAME, lease_seconds=600)
    (between,) = fetch("select nextval(pg_get_serial_sequence('job', 'id'))")[0]
    _ended_and_dead(hand)
    _backing_off(hand)
    _running(hand)
    _number_the_next_job(between + 1_000)
    _cancelled()
    _suspended()
    _analysis(hand)
    _backing_off(hand)
    _running(hand)
    submit({"type": "batch", "requests": [{"custom_id": "r", "kind": "echo", "input": 1}]})
    _number_the_next_job(between + 500)
    store_file(
        stream=io.BytesIO(b"next door"),
        tenant=tenant(NAME),
        uid=uuid.uuid4(),
        name="letters",
        media_type="text/plain",
        purpose="documents",
        now=timezone.now(),
    )
    _grow_older()
    missing = [table for table, rows in rows_next_door().items() if not rows]
    assert missing == ["submit_window"], "only doors count submissions"


def submit(body: dict[str, Any]) -> None:
    """A job of the neighbour in its own pool."""
    submit_job({"policy": NAME, "tenant": NAME, **body}, owner=NAME, key=str(uuid.uuid4()))


def _grow_older() -> None:
    """Old enough that a limit of time which is meant for another job would be past."""
    for table, column in (("job", "created_at"), ("task", "created_at"), ("task", "queued_at")):
        fetch(
            f"update {table} set {column} = {column} - interval '1 hour' where tenant_id = %s",
            (tenant(NAME).pk,),
        )


def _number_the_next_job(number: int) -> None:
    fetch("select setval(pg_get_serial_sequence('job', 'id'), %s)", (number,))


def usage_of(task: ClaimedRow, cost: int = 7) -> tuple[UsageRow, ...]:
    """One model call."""
    return (UsageRow(task.id, task.epoch, 0, "embedded-chat", "smollm2-135m", 3, 2, cost, False),)


def _ended_and_dead(hand: Hand) -> None:
    tasks = [{"name": "a", "kind": "echo"}, {"name": "b", "kind": "echo", "collects": ["a"]}]
    submit({"type": "pipeline", "tasks": tasks})
    hand.settle(failure(hand.claim()[0]))
    hand.succeed(hand.claim())


def _cancelled() -> None:
    submit({"type": "chat", "input": "hello"})
    latest = Task.objects.latest("id").job_id
    control.cancel_job(job_id=latest, actor=LOCAL_OPERATOR)


def _suspended() -> None:
    submit({"type": "chat", "input": "hello"})
    latest = Task.objects.latest("id").job_id
    control.suspend_job(job_id=latest, actor=LOCAL_OPERATOR)


def _analysis(hand: Hand) -> None:
    submit({"type": "analyze", "input": "why?", "documents": ["one two", "three four"]})
    hand.succeed(hand.claim())
    (cluster,) = hand.claim()
    hand.settle(success(cluster)._replace(spawned=LABELS))
    (label,) = hand.claim()
    hand.settle(Report(label.id, label.epoch, ReportKind.RELEASED))
    hand.succeed(hand.claim())


def _backing_off(hand: Hand) -> None:
    submit({"type": "chat", "input": "hello"})
    (task,) = [task for task in hand.claim(9) if task.kind == "chat"]
    hand.settle(failure(task, "transient")._replace(usage=usage_of(task)))
    execute("update delayed set due_at = due_at + interval '1 hour'")


def _running(hand: Hand) -> None:
    tasks = [
        {"name": "a", "kind": "chat", "input": {"prompt": "x"}},
        {"name": "b", "kind": "echo", "needs": ["a"]},
    ]
    submit({"type": "pipeline", "tasks": tasks})
    for task in hand.claim(9):
        append_log(hand.worker.pk, [(task.id, task.epoch, "still here")])
