"""An operator opens dead letters again: which ones, what becomes of them, what is on record."""

import json

import pytest

from access.actors import LOCAL_OPERATOR
from audit import recorder
from audit.integrity import verify_chain
from audit.models import AuditEntry
from jobs.actions import control, requeue_limits
from jobs.errors import (
    ConfirmationRequired,
    IdempotencyMismatch,
    InvalidRequest,
    RateLimited,
    StateConflict,
)
from jobs.models import Attempt, DeadLetter, Job, JobEvent, Ready, Task
from jobs.policies import causes
from jobs.transitions.settling import UsageRow
from jobs.transitions.sql import execute
from tests.integration.burials import buried, names, requeue
from tests.integration.scenario import (
    MODELS,
    failure,
    register,
    reloaded,
    statuses,
    submit_echo,
    submit_pipeline,
    success,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


def entries():
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("action", "result", "tenant", "target"))


def details(number):
    return json.loads(AuditEntry.objects.get(number=number).details)


def tables():
    """What a dry run must leave as it is."""
    models = (Task, DeadLetter, Job, JobEvent, Ready, Attempt)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_a_requeued_task_runs_again_as_a_new_generation_and_keeps_its_history():
    job = buried()
    answer = requeue(names(job))
    assert {**answer, "audit_id": 0} == {
        "dry_run": False,
        "requested": 1,
        "requeued": 1,
        "skipped": [],
        "audit_id": 0,
    }
    assert (reloaded(job).status, reloaded(job).generation) == ("Running", 2)
    hand = register()
    (again,) = hand.claim()
    assert (again.generation, again.attempt, again.epoch) == (2, 1, 3)
    hand.succeed([again])
    outcomes = Attempt.objects.order_by("epoch").values_list("generation", "outcome")
    assert list(outcomes) == [(1, "Failed"), (2, "Succeeded")]
    assert not DeadLetter.objects.exists()


def test_only_the_tasks_asked_for_are_opened():
    job = buried(3)
    assert requeue(names(job, 2))["requeued"] == 1
    assert statuses(job) == ["DeadLettered", "Queued", "DeadLettered"]


def test_tasks_of_several_jobs_and_tenants_are_opened_together():
    one, other = buried(2), buried(1, owner="globex")
    answer = requeue([*names(one, 1, 2), *names(other)], reason="the endpoint is back")
    assert answer["requeued"] == 3
    assert {reloaded(job).generation for job in (one, other)} == {2}
    assert entries() == [("dead_letter_requeue", "ok", "*", "")]
    assert details(answer["audit_id"])["tenants"] == "acme,globex"
    assert AuditEntry.objects.get().reason == "the endpoint is back"


def test_a_task_may_be_given_with_its_job():
    job = buried(2)
    one, other = names(job, 1, 2)
    asked = [
        {"job_id": f"job-{job.pk}", "task_id": one},
        {"job_id": str(job.uid), "task_id": other},
    ]
    assert requeue(asked)["requeued"] == 2


def test_what_can_not_be_opened_is_skipped_and_says_why():
    job, cancelled = buried(2), buried(2)
    control.retry_job(job_id=cancelled.pk, actor=LOCAL_OPERATOR)
    hand = register()
    hand.settle(*(failure(task) for task in hand.claim(1)))
    control.cancel_job(job_id=cancelled.pk, actor=LOCAL_OPERATOR)
    dead = DeadLetter.objects.get(job_id=cancelled.pk).task_id & 0xFFFFF
    other = submit_echo(1)
    asked = [
        *names(job, 1, 1, 9),
        *names(other),
        *names(cancelled, dead),
        "job-999999-1",
        {"job_id": f"job-{other.pk}", "task_id": names(job, 2)[0]},
    ]
    answer = requeue(asked)
    assert (answer["requested"], answer["requeued"]) == (7, 1)
    reasons = {(each["task"], each["reason"]) for each in answer["skipped"]}
    assert reasons == {
        (names(cancelled, dead)[0], "job_cancelled"),
        (names(other)[0], "not_dead_lettered"),
        ("job-999999-1", "not_found"),
        (names(job, 2)[0], "not_found"),
        (names(job, 9)[0], "not_found"),
        (names(job, 1)[0], "repeated"),
    }


def test_a_job_that_is_about_to_fail_is_left_to_its_end():
    job = submit_echo(4, max_failed_percent=10)
    hand = register()
    hand.fail(hand.claim(1))
    assert requeue(names(job))["skipped"][0]["reason"] == "job_ending"


def test_dead_letters_that_are_left_alone_do_not_stop_those_that_were_chosen():
    job = submit_echo(4, max_failed_percent=10)
    hand = register()
    hand.fail(hand.claim(4))
    requeue(names(job, 1, 2))
    hand.succeed(hand.claim(1))
    assert sorted(statuses(job)) == ["DeadLettered", "DeadLettered", "Queued", "Succeeded"]
    assert not reloaded(job).failed_reason
    hand.succeed(hand.claim(1))
    assert (reloaded(job).status, reloaded(job).reason) == ("Failed", "FailuresExceeded")


def test_a_job_without_money_for_one_more_task_is_left_as_it_is():
    chat = {"name": "a", "kind": "chat", "input": {"prompt": "x"}}
    ceiling = Task.objects.get(job_id=submit_pipeline(chat).pk).ceiling_nano_usd
    job = submit_pipeline(chat, budget={"limit_usd": 1.5 * ceiling / 10**9})
    hand = register()
    (task,) = (each for each in hand.claim(2) if each.id >> 20 == job.pk)
    used = UsageRow(task.id, task.epoch, 1, "embedded-chat", MODELS[0], 1, 1, ceiling, False)
    hand.settle(failure(task)._replace(usage=(used,)))
    assert requeue(names(job))["skipped"][0]["reason"] == "budget_used_up"
    assert reloaded(job).status == "Failed"
    with pytest.raises(StateConflict, match="budget"):
        control.retry_job(job_id=job.pk, actor=LOCAL_OPERATOR)


def test_a_task_above_a_running_one_waits_for_its_end():
    job = submit_pipeline({"name": "a"}, {"name": "b", "collects": ["a"]})
    hand = register()
    hand.fail(hand.claim())
    (running,) = hand.claim()
    assert requeue(names(job))["skipped"][0]["reason"] == "dependents_running"
    hand.settle(success(running))
    assert requeue(names(job))["requeued"] == 1
    assert statuses(job) == ["Queued", "Blocked"]


def test_a_task_that_needs_another_dead_letter_stays_cancelled():
    job = submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "needs": ["a", "b"]})
    hand = register()
    hand.fail(hand.claim(2))
    assert requeue(names(job, 1))["requeued"] == 1
    assert statuses(job) == ["Queued", "DeadLettered", "Cancelled"]
    hand.succeed(hand.claim())
    assert reloaded(job).status == "Failed"
    assert requeue(names(job, 2))["requeued"] == 1
    assert statuses(job) == ["Succeeded", "Queued", "Blocked"]


def test_a_cause_takes_its_oldest_dead_letters_up_to_the_cap(settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2
    first, second, other = buried(1), buried(2), buried(1, code="else")
    cause = causes.fingerprint("broken", "it broke")
    answer = requeue(cause=cause)
    assert (answer["requested"], answer["requeued"]) == (2, 2)
    assert statuses(first) == ["Queued"]
    assert statuses(second).count("DeadLettered") == 1
    assert statuses(other) == ["DeadLettered"]
    assert entries()[0][3] == cause


def test_a_cause_that_is_gone_requeues_nothing():
    assert requeue(cause="0" * 16)["requested"] == 0


def test_a_dry_run_answers_the_same_and_leaves_only_its_entry():
    job = submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]}, {"name": "c"})
    hand = register()
    hand.fail(hand.claim(1))
    asked = [*names(job, 1, 3), "job-999999-1"]
    before = tables()
    tried = requeue(asked, dry_run=True)
    assert tables() == before
    done = requeue(asked)
    same = ("requested", "requeued", "skipped")
    assert [tried[name] for name in same] == [done[name] for name in same]
    assert [entry[1] for entry in entries()] == ["dry_run", "ok"]
    assert details(1) == {**details(2), "request_sha256": details(1)["request_sha256"]}


def test_one_task_more_than_the_cap_is_refused(settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 3
    job = buried(4)
    with pytest.raises(InvalidRequest, match="at most 3"):
        requeue(names(job, 1, 2, 3, 4))
    assert entries() == [("dead_letter_requeue", "refused", "", "")]
    assert details(1)["code"] == "invalid_request"
    assert requeue(names(job, 1, 2, 3))["requeued"] == 3


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def limits(self, settings):
        settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = 2
        settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "yes-do-it"

    @pytest.mark.parametrize("shown", [b"", b"yes-do-i", b"yes-do-it2", "\xffé".encode(), b"\xff"])
    def test_as_many_as_the_threshold_need_the_token(self, shown):
        job = buried(2)
        with pytest.raises(ConfirmationRequired, match="2 or more"):
            requeue(names(job, 1, 2), confirmation=shown)
        assert set(statuses(job)) == {"DeadLettered"}
        assert details(1)["code"] == "confirmation_required"

    def test_with_the_token_they_are_opened(self):
        job = buried(2)
        assert requeue(names(job, 1, 2), confirmation=b"yes-do-it")["requeued"] == 2

    def test_fewer_than_the_threshold_need_none(self):
        assert requeue(names(buried()))["requeued"] == 1

    def test_a_dry_run_needs_none(self):
        assert requeue(names(buried(2), 1, 2), dry_run=True)["requeued"] == 2

    def test_a_cause_with_that_many_needs_it_too(self):
        buried(2)
        with pytest.raises(ConfirmationRequired):
            requeue(cause=causes.fingerprint("broken", "it broke"))

    def test_without_a_token_set_nothing_is_asked(self, settings):
        settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = ""
        assert requeue(names(buried(2), 1, 2))["requeued"] == 2


class TestRate:
    @pytest.fixture(autouse=True)
    def limits(self, settings):
        settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 2

    def test_calls_beyond_the_rate_are_told_how_long_to_wait(self, calm_minute):
        job = buried(3)
        for number in (1, 2):
            requeue(names(job, number))
        assert requeue_limits.used_this_minute() == 2
        with pytest.raises(RateLimited) as refused:
            requeue(names(job, 3))
        assert refused.value.retry_after_seconds == calm_minute()
        assert statuses(job)[2] == "DeadLettered"
        assert details(3)["code"] == "rate_limited"

    def test_dry_runs_and_refused_calls_do_not_count(self, settings):
        settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 1
        job = buried(2)
        for _ in range(3):
            requeue(names(job), dry_run=True)
            with pytest.raises(InvalidRequest):
                requeue(names(job, 1, 2))
        assert requeue_limits.used_this_minute() == 0

    def test_a_new_minute_begins_at_nothing(self):
        job = buried(2)
        execute("insert into requeue_window (id, minute, used) values (1, 0, 2)")
        assert requeue(names(job))["requeued"] == 1
        assert requeue_limits.used_this_minute() == 1


class TestIdempotencyKey:
    def test_the_same_request_again_is_answered_the_same_and_done_once(self):
        job = buried()
        assert requeue(names(job), key="k") == requeue(names(job), key="k")
        assert (reloaded(job).generation, len(entries())) == (2, 1)

    def test_another_request_with_the_key_is_refused(self):
        job = buried(2)
        requeue(names(job, 1), key="k")
        with pytest.raises(IdempotencyMismatch):
            requeue(names(job, 2), key="k")
        assert [entry[1] for entry in entries()] == ["ok", "refused"]

    def test_a_refused_request_does_not_use_up_its_key(self, settings):
        settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 1
        job = buried(2)
        with pytest.raises(InvalidRequest):
            requeue(names(job, 1, 2), key="k")
        assert requeue(names(job), key="k")["requeued"] == 1


def test_each_call_has_its_entry_with_the_counts_and_the_chain_stays_whole():
    job = buried(2)
    answer = requeue([*names(job, 1, 2), "job-999999-1"])
    told = details(answer["audit_id"])
    assert (told["requested"], told["requeued"], told["skipped"]) == (3, 2, 1)
    assert len(told["request_sha256"]) == 64
    assert entries() == [("dead_letter_requeue", "ok", "acme", f"job-{job.pk}")]
    assert verify_chain() is None


class Killed(Exception):
    """Stands for whatever ends a transaction."""


@pytest.mark.parametrize("after_the_record", [False, True])
def test_what_fails_around_the_record_leaves_neither_requeue_nor_ok(monkeypatch, after_the_record):
    record = recorder.record

    def record_and_fail(**told):
        if told["result"] != "ok":
            return record(**told)
        if after_the_record:
            record(**told)
        raise Killed

    job = buried()
    monkeypatch.setattr("access.actions.audited.record", record_and_fail)
    with pytest.raises(Killed):
        requeue(names(job))
    assert statuses(job) == ["DeadLettered"]
    assert requeue_limits.used_this_minute() == 0
    assert [entry[1] for entry in entries()] == ["error"]


def test_a_task_of_a_suspended_job_waits_until_it_is_resumed():
    job = submit_echo(2, owner="acme")
    hand = register()
    hand.fail(hand.claim(1))
    control.suspend_job(job_id=job.pk, actor=LOCAL_OPERATOR)
    assert requeue(names(job))["requeued"] == 1
    assert hand.claim(2) == []
    assert reloaded(job).status == "Suspended"
