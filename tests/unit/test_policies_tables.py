"""Policies over their whole domain: every combination answers, and by the architecture's rules."""

import itertools
import json

import pytest

from jobs.errors import PolicyDenied
from jobs.planner.request import parse_job_request
from jobs.policies.admission import admit
from jobs.policies.explain import WaitFacts, explain
from jobs.policies.fairness import Group, choose
from jobs.policies.outcome import job_end
from jobs.policies.policy import ENTERPRISE_DEFAULT, PolicySpec
from jobs.policies.retry import Bury, FailJob, Requeue, after_failure
from jobs.states import END_REASONS, JOB_ENDS, JobStatus, Reason

GIVEN_BACK = {"rate_limited", "overloaded", "released"}
COUNTED = {"transient", "timeout", "worker_lost", "unheard_of"}
HOPELESS = {"invalid_input", "permanent"}
CLASSES = sorted(GIVEN_BACK | COUNTED | HOPELESS | {"budget_exceeded"})


def expected_decision(error_class, attempt, age, limit):
    """The rules of "Fail" in the architecture, written down a second time."""
    if error_class == "budget_exceeded":
        return FailJob("code", "broke")
    if error_class in HOPELESS or (error_class in COUNTED and attempt >= 3):
        return Bury("code", "broke")
    at_once = error_class in ("released", "worker_lost")
    delay = 0.0 if at_once else min(2.0 ** (attempt - 1), 60.0)
    if limit is not None and age + delay > limit:
        return "schedule_to_close_exceeded"
    return Requeue(delay, give_back=error_class in GIVEN_BACK)


@pytest.mark.parametrize(
    ("error_class", "attempt", "age", "limit"),
    list(itertools.product(CLASSES, (1, 2, 3, 4), (0.0, 99.0, 100.5, 1e9), (None, 100.0))),
)
def test_every_failure_is_decided_by_class_attempts_and_age(error_class, attempt, age, limit):
    decision = after_failure(
        error_class=error_class,
        error_code="code",
        message="broke",
        attempt=attempt,
        max_attempts=3,
        retry_after_seconds=0.0,
        age_seconds=age,
        schedule_to_close_seconds=limit,
        jitter=1.0,
    )
    wanted = expected_decision(error_class, attempt, age, limit)
    if isinstance(wanted, str):
        assert isinstance(decision, Bury)
        assert decision.code == wanted
        assert "broke" in decision.message
    else:
        assert decision == wanted


@pytest.mark.parametrize("attempt", [0, 1, 64, 1_100, 100_000])
def test_no_number_of_attempts_makes_a_delay_overflow(attempt):
    decision = after_failure(
        error_class="transient",
        error_code="c",
        message="m",
        attempt=attempt,
        max_attempts=1_000_000,
        retry_after_seconds=0.0,
        age_seconds=0.0,
        schedule_to_close_seconds=None,
        jitter=0.0,
    )
    assert isinstance(decision, Requeue)
    assert 0 < decision.delay_seconds <= 60


def expected_end(succeeded, dead, total, final, cancel, failed, most):
    """The order of "States" in the architecture; what wholly succeeded was not stopped."""
    if succeeded == total:
        return JobStatus.SUCCEEDED
    if cancel:
        return JobStatus.CANCELLED
    if failed or (most is not None and dead * 100 > most * total) or not final:
        return JobStatus.FAILED
    return JobStatus.PARTIALLY_SUCCEEDED if dead else JobStatus.SUCCEEDED


@pytest.mark.parametrize("total", [1, 2, 4])
def test_every_end_follows_from_tasks_limits_and_the_cancel_flag(total):
    reasons = (None, Reason.DEADLINE_EXCEEDED, Reason.BUDGET_EXCEEDED, Reason.FAILURES_EXCEEDED)
    counts = [(s, d) for s in range(total + 1) for d in range(total + 1 - s)]
    cases = itertools.product(counts, (True, False), (True, False), reasons, (None, 0.0, 50.0))
    for (succeeded, dead), final, cancel, failed, most in cases:
        if final and not succeeded:
            continue
        status, reason, message = job_end(
            total=total,
            succeeded=succeeded,
            dead_lettered=dead,
            cancelled=total - succeeded - dead,
            final_succeeded=final or succeeded == total,
            cancel_requested=cancel,
            failed_reason=failed,
            max_failed_percent=most,
        )
        wanted = expected_end(succeeded, dead, total, final, cancel, failed, most)
        assert status == wanted, (succeeded, dead, total, final, cancel, failed, most)
        assert status in JOB_ENDS
        assert reason in END_REASONS
        assert message or status == JobStatus.SUCCEEDED


OPEN = [status for status in JobStatus if status not in JOB_ENDS]


def test_every_combination_of_facts_has_one_reason_of_the_closed_list():
    small = (0, 1, 5)
    found = set()
    for status, queued, running, blocked, backing_off, live, matching in itertools.product(
        OPEN, small, small, small, small, (0, 2), (0, 2)
    ):
        told = explain(
            WaitFacts(
                status=status,
                queued=queued,
                running=running,
                blocked=blocked,
                backing_off=backing_off,
                live_workers=live,
                matching_workers=min(live, matching),
                suspended=status == JobStatus.SUSPENDED,
                higher_priority_queued=queued // 5,
            )
        )
        assert told.reason not in END_REASONS
        assert told.message.endswith(".")
        assert told.numbers
        found.add(told.reason)
    assert found == {
        Reason.SUSPENDED,
        Reason.WAITING_FOR_WORKERS,
        Reason.NO_MATCHING_WORKER,
        Reason.RUNNING,
        Reason.BACKOFF_PENDING,
        Reason.DEPENDENCY_PENDING,
        Reason.HELD_BACK_FOR_PRIORITY,
        Reason.WAITING_FOR_FAIR_SHARE,
        Reason.PLANNING,
    }


@pytest.mark.parametrize("reason", sorted(END_REASONS))
def test_an_ended_job_keeps_its_reason(reason):
    facts = WaitFacts(status=JobStatus.FAILED, end_reason=reason, end_message="So it ended.")
    assert (explain(facts).reason, explain(facts).message) == (reason, "So it ended.")


def test_a_budget_that_pays_for_nothing_more_is_not_said_to_be_reserved():
    facts = WaitFacts(
        status=JobStatus.RUNNING,
        queued=1,
        live_workers=1,
        matching_workers=1,
        limit_nano_usd=10,
        settled_nano_usd=8,
        next_ceiling_nano_usd=5,
    )
    told = explain(facts)
    assert told.reason == Reason.WAITING_FOR_BUDGET
    assert "reserved by running" not in told.message


def limits(policy=ENTERPRISE_DEFAULT, **fields):
    body = json.dumps({"type": "chat", "input": "x", **fields}).encode()
    return admit(parse_job_request(body), policy, default_max_attempts=5)


@pytest.mark.parametrize(
    ("policy", "asked", "field", "said"),
    [
        ({}, {"budget": {"limit_usd": 10.01}}, "budget.limit_usd", "at most 10.0, not 10.01"),
        ({"max_attempts": 2}, {"max_attempts": 3}, "max_attempts", "at most 2, not 3"),
        (
            {"max_parallelism": 9},
            {"max_parallelism": 1_000_000},
            "max_parallelism",
            "not 1,000,000",
        ),
        ({"job_deadline_seconds": 60}, {"deadline_seconds": 61}, "deadline_seconds", "at most 60"),
        ({"types": ["embed", "batch"]}, {}, "type", "it allows: embed, batch"),
        ({"priorities": ["batch"]}, {"priority": "interactive"}, "priority", "it allows: batch"),
    ],
)
def test_a_denied_wish_names_field_and_bound(policy, asked, field, said):
    with pytest.raises(PolicyDenied) as denied:
        limits(PolicySpec(**policy), **asked)
    assert [error.field for error in denied.value.fields] == [field]
    assert said in denied.value.detail


@pytest.mark.parametrize(
    ("policy", "asked", "name", "value"),
    [
        ({"max_attempts": 4}, {}, "max_attempts", 4),
        ({"max_attempts": 4}, {"max_attempts": 4}, "max_attempts", 4),
        ({}, {"max_attempts": 9}, "max_attempts", 9),
        ({"max_parallelism": 4}, {}, "max_parallelism", 4),
        ({"limit_usd": None}, {}, "limit_nano_usd", None),
        ({"limit_usd": None}, {"budget": {"limit_usd": 1.005}}, "limit_nano_usd", 1_005_000_000),
        ({"limit_usd": 0.29}, {}, "limit_nano_usd", 290_000_000),
        ({"job_deadline_seconds": 60.0}, {"deadline_seconds": 2}, "deadline_seconds", 2),
        ({"job_deadline_seconds": 60.0}, {}, "deadline_seconds", 60),
        ({"pool": "gpu"}, {}, "pool", "gpu"),
        ({}, {"max_failed_percent": 5}, "max_failed_percent", 5),
        ({}, {"priority": "interactive"}, "priority", 100),
    ],
)
def test_the_tighter_of_policy_and_request_holds(policy, asked, name, value):
    assert getattr(limits(PolicySpec(**policy), **asked), name) == value


def picks(groups, *, want, turn=0, bounds=None):
    return choose(
        groups,
        (),
        want=want,
        tenant_room={},
        bounds=bounds or {},
        turn=turn,
        expected_tokens=1.0,
        weights={},
    )


def test_two_overdue_classes_each_get_their_tenth():
    groups = [Group(1, priority, 1, 1000.0, 0.0) for priority in (100, 0, -50)]
    bounds = {100: 1.0, 0: 1.0, -50: 1.0}
    firsts = [picks(groups, want=1, turn=turn, bounds=bounds)[0].priority for turn in range(100)]
    assert [firsts.count(priority) for priority in (100, 0, -50)] == [80, 10, 10]


def test_many_kinds_of_work_do_not_multiply_a_tenants_share():
    groups = [Group(capability, 0, 1, 5.0, 0.0) for capability in (1, 2, 3)]
    groups.append(Group(1, 0, 2, 5.0, 0.0))
    fair = list(itertools.takewhile(lambda pick: pick.limit < 8, picks(groups, want=8)))
    assert {pick.tenant: pick.limit for pick in fair} == {1: 4, 2: 4}
    assert len(fair) == 2


def test_a_tenants_oldest_work_goes_first_whatever_kind_it_is():
    groups = [Group(1, 0, 1, 5.0, 0.0), Group(2, 0, 1, 50.0, 0.0)]
    assert picks(groups, want=1)[0].capability == 2
