import pytest

from jobs.policies.isolation import LEASE_RAN_OUT, RUNNER_DIED, runs_alone


def alone(suspicion: int, attempt: int = 2, max_attempts: int = 5) -> bool:
    return runs_alone(suspicion=suspicion, attempt=attempt, max_attempts=max_attempts)


def test_a_task_that_never_lost_a_worker_has_neighbours():
    assert not alone(0, attempt=1)
    assert not alone(0, attempt=5)


def test_a_task_that_was_running_when_its_runner_died_runs_alone():
    assert alone(RUNNER_DIED)


def test_a_task_that_was_lost_with_its_agent_runs_alone_from_the_second_time_on():
    assert not alone(LEASE_RAN_OUT)
    assert alone(2 * LEASE_RAN_OUT)
    assert alone(3 * LEASE_RAN_OUT)


@pytest.mark.parametrize("max_attempts", [2, 3, 5])
def test_a_task_that_lost_a_worker_makes_its_last_attempt_alone(max_attempts: int):
    assert alone(LEASE_RAN_OUT, attempt=max_attempts, max_attempts=max_attempts)


def test_an_only_attempt_is_made_alone():
    assert alone(0, attempt=1, max_attempts=1)
