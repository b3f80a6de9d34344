"""What a worker can take: kinds and models together, for the claim and for what it is told."""

import pytest

from tests.integration.scenario import Hand, register, submit_echo, submit_job, submit_pipeline

pytestmark = pytest.mark.django_db


def kinds(hand: Hand) -> set[str]:
    return {task.kind for task in hand.claim(9)}


@pytest.fixture
def mixed() -> None:
    """Tasks of one job that ask for different agents."""
    submit_pipeline(
        {"name": "a"},
        {"name": "b", "kind": "chat", "input": {"prompt": "x"}},
        {"name": "c", "kind": "embed", "input": {"texts": ["x"]}},
    )


@pytest.mark.usefixtures("mixed")
def test_of_a_job_with_several_kinds_each_worker_gets_those_it_can_run():
    assert kinds(register(kinds=["echo"])) == {"echo"}
    assert kinds(register(models=["smollm2-135m"])) == {"chat"}
    assert kinds(register()) == {"embed"}


@pytest.mark.parametrize(
    "reach", [{"kinds": ["echo"]}, {"models": []}, {"models": ["minilm-l6-v2"]}, {"pool": "other"}]
)
def test_work_that_is_out_of_reach_does_not_wait_for_a_worker(reach):
    submit_job({"type": "chat", "input": "hello"})
    assert not register(**reach).beat([]).work_waiting
    assert register().beat([]).work_waiting


def test_a_worker_without_a_free_slot_is_not_told_of_work():
    submit_echo(1)
    assert not register().beat([], free_slots=0).work_waiting


def test_each_jobs_parallelism_counts_its_own_tasks():
    submit_echo(5, max_parallelism=2)
    submit_echo(5, max_parallelism=2)
    worker = register()
    assert [len(worker.claim(2)), len(worker.claim(9)), len(worker.claim(9))] == [2, 2, 0]


def test_a_parallelism_is_free_again_when_tasks_end():
    submit_echo(3, max_parallelism=1)
    worker = register()
    for _ in range(3):
        worker.succeed(worker.claim(9))
    assert worker.claim(9) == []
