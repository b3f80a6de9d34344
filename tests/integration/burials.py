"""Dead letters for tests, and requeues through the action."""

import json

from access.actors import LOCAL_OPERATOR
from jobs.actions.requeue import requeue_dead_letters
from jobs.planner.requeue import parse_requeue
from jobs.states import task_name
from tests.integration.scenario import failure, register, submit_echo


def buried(count=1, *, owner="acme", code="broken", message="it broke", **more):
    """A job of ``count`` echo tasks that are all dead letters."""
    job = submit_echo(count, owner=owner, **more)
    hand = register()
    claimed = [task for task in hand.claim(count) if task.id >> 20 == job.pk]
    reports = [failure(task, code=code)._replace(error_message=message) for task in claimed]
    hand.settle(*reports)
    return job


def names(job, *numbers):
    """The names of a job's tasks with these numbers, of the first where none is given."""
    return [task_name(job.pk << 20 | number) for number in numbers or (1,)]


def requeue(tasks=None, *, actor=LOCAL_OPERATOR, confirmation=b"", key=None, **body):
    """The answer to a requeue."""
    if tasks is not None:
        body["tasks"] = tasks
    done = requeue_dead_letters(
        request=parse_requeue(json.dumps(body).encode()),
        actor=actor,
        confirmation=confirmation,
        idempotency_key=key,
    )
    return json.loads(done.answer)
