"""Which attempts are made without neighbours after what an agent has reported."""

import pytest

from jobs import ticketer
from jobs.transitions.sql import execute
from tests.integration.scenario import failure, register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def test_a_task_for_which_a_runner_had_to_be_killed_runs_alone_from_then_on():
    submit_echo(1)
    worker = register()
    worker.settle(*(failure(task, "timeout", "stop_ignored") for task in worker.claim()))
    execute("update delayed set due_at = clock_timestamp()")
    ticketer.move_due()
    assert [task.run_alone for task in worker.claim()] == [True]


def test_tasks_that_were_running_when_a_runner_died_run_alone_from_then_on():
    submit_echo(2)
    worker = register()
    worker.fail(worker.claim(2), "worker_lost")
    claims = [register().claim(2) for _ in range(2)]
    assert [[task.run_alone for task in claimed] for claimed in claims] == [[True], [True]]
