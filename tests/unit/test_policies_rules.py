import json

import pytest

from jobs.errors import InvalidRequest, PolicyDenied
from jobs.planner.request import parse_job_request
from jobs.policies.admission import admit
from jobs.policies.explain import WaitFacts, explain
from jobs.policies.outcome import job_end, tolerance_passed
from jobs.policies.policy import ENTERPRISE_DEFAULT, PolicySpec, parse_policy
from jobs.policies.retry import Bury, FailJob, Requeue, after_failure
from jobs.states import JobStatus, Reason


def decide(error_class, **fields):
    facts = {
        "error_class": error_class,
        "error_code": "code",
        "message": "it broke",
        "attempt": 1,
        "max_attempts": 5,
        "retry_after_seconds": 0.0,
        "age_seconds": 0.0,
        "schedule_to_close_seconds": None,
        "jitter": 1.0,
    }
    return after_failure(**{**facts, **fields})


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (90, 60)]
)
def test_a_transient_error_backs_off_twice_as_long_each_time_up_to_a_minute(attempt, seconds):
    assert decide("transient", attempt=attempt, max_attempts=99) == Requeue(
        seconds, give_back=False
    )


def test_jitter_spreads_a_delay_over_its_upper_half():
    assert decide("transient", jitter=0.0).delay_seconds == 0.5


@pytest.mark.parametrize("error_class", ["rate_limited", "overloaded"])
def test_a_busy_endpoint_costs_no_attempt_and_is_asked_again_when_it_said(error_class):
    decision = decide(error_class, attempt=5, retry_after_seconds=70.0)
    assert decision == Requeue(70.0, give_back=True)


def test_a_released_task_is_ready_at_once_with_its_attempt_given_back():
    assert decide("released", attempt=5) == Requeue(0.0, give_back=True)


def test_a_lost_worker_counts_and_is_tried_again_at_once():
    assert decide("worker_lost", attempt=4) == Requeue(0.0, give_back=False)


@pytest.mark.parametrize("error_class", ["transient", "worker_lost", "timeout", "something_new"])
def test_used_up_attempts_bury_with_the_errors_own_code(error_class):
    assert decide(error_class, attempt=5) == Bury("code", "it broke")


@pytest.mark.parametrize("error_class", ["invalid_input", "permanent"])
def test_hopeless_errors_are_buried_at_the_first_attempt(error_class):
    assert decide(error_class) == Bury("code", "it broke")


def test_an_exhausted_budget_fails_the_job():
    assert decide("budget_exceeded") == FailJob("code", "it broke")


@pytest.mark.parametrize(
    "error_class", ["transient", "rate_limited", "overloaded", "timeout", "released"]
)
def test_a_retry_beyond_schedule_to_close_is_buried_with_that_code(error_class):
    decision = decide(error_class, age_seconds=100.1, schedule_to_close_seconds=100.0)
    assert isinstance(decision, Bury)
    assert decision.code == "schedule_to_close_exceeded"


def end(**fields):
    facts = {
        "total": 10,
        "succeeded": 10,
        "dead_lettered": 0,
        "cancelled": 0,
        "final_succeeded": True,
        "cancel_requested": False,
        "failed_reason": None,
        "max_failed_percent": None,
    }
    return job_end(**{**facts, **fields})[:2]


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({}, JobStatus.SUCCEEDED, Reason.ALL_SUCCEEDED),
        ({"cancel_requested": True}, JobStatus.SUCCEEDED, Reason.ALL_SUCCEEDED),
        (
            {"cancel_requested": True, "succeeded": 9, "cancelled": 1},
            JobStatus.CANCELLED,
            Reason.CANCELLED,
        ),
        (
            {"failed_reason": Reason.DEADLINE_EXCEEDED, "succeeded": 9, "cancelled": 1},
            JobStatus.FAILED,
            Reason.DEADLINE_EXCEEDED,
        ),
        (
            {"failed_reason": Reason.BUDGET_EXCEEDED, "succeeded": 9, "dead_lettered": 1},
            JobStatus.FAILED,
            Reason.BUDGET_EXCEEDED,
        ),
        (
            {"succeeded": 9, "dead_lettered": 1},
            JobStatus.PARTIALLY_SUCCEEDED,
            Reason.WITHIN_TOLERANCE,
        ),
        (
            {"succeeded": 8, "dead_lettered": 2, "max_failed_percent": 10},
            JobStatus.FAILED,
            Reason.FAILURES_EXCEEDED,
        ),
        (
            {"succeeded": 9, "dead_lettered": 1, "max_failed_percent": 10},
            JobStatus.PARTIALLY_SUCCEEDED,
            Reason.WITHIN_TOLERANCE,
        ),
        (
            {"succeeded": 8, "dead_lettered": 1, "cancelled": 1, "final_succeeded": False},
            JobStatus.FAILED,
            Reason.DEPENDENCY_FAILED,
        ),
        (
            {"succeeded": 0, "dead_lettered": 10, "final_succeeded": False},
            JobStatus.FAILED,
            Reason.FAILURES_EXCEEDED,
        ),
    ],
)
def test_a_job_ends_by_its_tasks_limits_and_cancel_flag(facts, status, reason):
    assert end(**facts) == (status, reason)


def test_any_failure_passes_a_tolerance_of_nothing_and_none_passes_no_tolerance():
    assert tolerance_passed(total=10, dead_lettered=1, max_failed_percent=0)
    assert not tolerance_passed(total=10, dead_lettered=0, max_failed_percent=0)
    assert not tolerance_passed(total=10, dead_lettered=10, max_failed_percent=None)


def limits(policy=ENTERPRISE_DEFAULT, **fields):
    body = json.dumps({"type": "chat", "input": "x", **fields}).encode()
    return admit(parse_job_request(body), policy, default_max_attempts=5)


def test_a_request_that_asks_nothing_gets_its_policys_limits():
    got = limits()
    assert (got.pool, got.priority, got.max_attempts) == ("default", 0, 5)
    assert got.limit_nano_usd == 10_000_000_000
    assert got.start_to_close_seconds == 300


def test_a_request_may_tighten_its_policy():
    got = limits(budget={"limit_usd": 0.5}, max_parallelism=3, max_attempts=2, priority="batch")
    assert (got.limit_nano_usd, got.max_parallelism, got.max_attempts) == (500_000_000, 3, 2)
    assert got.priority == -50


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ({}, {"budget": {"limit_usd": 11}}),
        ({"max_attempts": 2}, {"max_attempts": 3}),
        ({"max_parallelism": 2}, {"max_parallelism": 3}),
        ({"job_deadline_seconds": 60}, {"deadline_seconds": 61}),
        ({"types": ["embed"]}, {}),
        ({"priorities": ["batch"]}, {"priority": "interactive"}),
    ],
)
def test_a_request_never_widens_its_policy(policy, asked):
    with pytest.raises(PolicyDenied):
        limits(PolicySpec(**policy), **asked)


@pytest.mark.parametrize(
    "text", ["{", '{"pools": 1}', '{"max_tasks": 0}', '{"limit_usd": -1}', '{"types": ["chta"]}']
)
def test_a_policy_that_makes_no_sense_is_refused(text):
    with pytest.raises(InvalidRequest):
        parse_policy(text)


READY = {"queued": 5, "live_workers": 1, "matching_workers": 1}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"suspended": True}, Reason.SUSPENDED),
        ({"live_workers": 0}, Reason.WAITING_FOR_WORKERS),
        ({"matching_workers": 0}, Reason.NO_MATCHING_WORKER),
        (
            {"limit_nano_usd": 10, "reserved_nano_usd": 6, "next_ceiling_nano_usd": 5},
            Reason.WAITING_FOR_BUDGET,
        ),
        ({"max_parallelism": 2, "running": 2}, Reason.PARALLELISM_REACHED),
        ({"tenant_limit": 4, "tenant_running": 4}, Reason.TENANT_LIMIT_REACHED),
        ({"running": 1}, Reason.RUNNING),
        ({"backing_off": 5, "next_retry_seconds": 3.0}, Reason.BACKOFF_PENDING),
        ({"queued": 0, "blocked": 2}, Reason.DEPENDENCY_PENDING),
        ({"higher_priority_queued": 9}, Reason.HELD_BACK_FOR_PRIORITY),
        ({"ahead_in_class": 3}, Reason.WAITING_FOR_FAIR_SHARE),
    ],
)
def test_a_waiting_job_has_one_reason_with_numbers(facts, reason):
    told = explain(WaitFacts(status=JobStatus.PENDING, **{**READY, **facts}))
    assert told.reason == reason
    assert told.message.endswith(".")
    assert told.numbers


def test_an_ended_job_says_how_it_ended():
    told = explain(
        WaitFacts(
            status=JobStatus.FAILED,
            end_reason=Reason.BUDGET_EXCEEDED,
            end_message="Spent.",
            dead_lettered=1,
        )
    )
    assert (told.reason, told.message) == (Reason.BUDGET_EXCEEDED, "Spent.")
    assert told.helps
