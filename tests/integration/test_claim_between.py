"""What changes within a claim, after limits were asked for and before tasks are taken."""

from collections.abc import Callable

import pytest

from jobs.transitions import claiming
from jobs.transitions.sql import execute
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen once after a claim has asked for limits, before it takes tasks."""
    ask = claiming.candidates

    def arrange(happens: Callable[[], object]) -> None:
        def asked(*arguments, **options):
            limits = ask(*arguments, **options)
            monkeypatch.setattr(claiming, "candidates", ask)
            happens()
            return limits

        monkeypatch.setattr(claiming, "candidates", asked)

    return arrange


def test_a_job_with_a_parallelism_that_is_submitted_meanwhile_waits_for_the_next_claim(meanwhile):
    known = submit_echo(2)
    worker = register()
    meanwhile(lambda: submit_echo(5, max_parallelism=1))
    assert {task.id >> 20 for task in worker.claim(10)} == {known.pk}
    assert len(worker.claim(10)) == 1


@pytest.mark.parametrize(
    "halt",
    [
        "suspended_at = now(), status = 'Suspended', reason = 'Suspended'",
        "cancel_requested_at = now()",
        "failed_reason = 'DeadlineExceeded'",
    ],
)
def test_a_job_that_is_halted_meanwhile_gives_out_nothing(meanwhile, halt):
    job = submit_echo(3)
    worker = register()
    meanwhile(lambda: execute(f"update job set {halt} where id = %s", (job.pk,)))
    assert worker.claim(3) == []


def test_a_job_with_a_budget_that_is_submitted_meanwhile_waits_for_the_next_claim(meanwhile):
    submit_echo(1)
    worker = register()

    def submit_with_budget() -> None:
        job = submit_echo(3)
        execute("update task set ceiling_nano_usd = 10 where job_id = %s", (job.pk,))
        execute(
            "insert into budget (job_id, limit_nano_usd, task_ceiling_nano_usd,"
            " reserved_nano_usd, settled_nano_usd, overrun_nano_usd) values (%s, 20, 10, 0, 0, 0)",
            (job.pk,),
        )
        execute("update job set limit_nano_usd = 20 where id = %s", (job.pk,))

    meanwhile(submit_with_budget)
    assert len(worker.claim(10)) == 1
    assert len(worker.claim(10)) == 2
