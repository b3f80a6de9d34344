"""``manage.py requeue``: call after call, within the bounds, stopped and taken up again."""

import io
import json
import re

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from jobs.management import batches
from jobs.models import DeadLetter
from jobs.policies import causes
from jobs.transitions.sql import execute
from tests.integration.burials import buried, names
from tests.integration.scenario import failure, register, statuses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture(autouse=True)
def limits(settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2


def run(*arguments):
    """What the command prints, and what it says besides."""
    out, err = io.StringIO(), io.StringIO()
    call_command("requeue", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(*arguments):
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return raised.value


def test_all_that_match_are_opened_in_batches_of_the_cap():
    jobs = [buried(3), buried(2, owner="globex")]
    other = buried(1, code="else")
    out, err = run("--error-code", "broken", "--reason", "key rotated")
    assert "5 of 5 tasks are queued again." in out
    assert "2 of 5: 2 requeued, 0 skipped" in err
    assert [statuses(job) for job in jobs] == [["Queued"] * 3, ["Queued"] * 2]
    assert statuses(other) == ["DeadLettered"]
    told = AuditEntry.objects.values_list("action", "result", "door", "reason").distinct()
    assert list(told) == [("dead_letter_requeue", "ok", "command", "key rotated")]
    assert AuditEntry.objects.count() == 3
    assert re.fullmatch(r"shell:.+", AuditEntry.objects.get(number=1).actor)


def test_each_filter_narrows():
    one, other = buried(1), buried(1, owner="globex", code="else")
    for option, value in (
        ("--tenant", "globex"),
        ("--job", f"job-{other.pk}"),
        ("--cause", causes.fingerprint("else", "it broke")),
        ("--error-code", "else"),
    ):
        assert "1 of 1 tasks would be requeued" in run(option, value, "--dry-run")[0]
    assert "0 of 0" in run("--kind", "chat", "--dry-run")[0]
    assert {*statuses(one), *statuses(other)} == {"DeadLettered"}


def test_tasks_are_named_one_by_one_and_skipped_ones_told():
    job = buried(3)
    out, _ = run("--tasks", *names(job, 1, 2), "job-999999-1", "nonsense")
    assert "2 of 4 tasks are queued again." in out
    assert "2 skipped: not_found" in out
    assert "audit log: entries 1 to 2" in out
    assert statuses(job) == ["Queued", "Queued", "DeadLettered"]


def test_json_tells_everything():
    job = buried(1)
    told = json.loads(run("--tasks", *names(job), "job-999999-1", "--json")[0])
    assert told == {
        "dry_run": False,
        "requested": 2,
        "requeued": 1,
        "skipped": [{"task": "job-999999-1", "reason": "not_found"}],
        "audit_ids": [1],
        "stopped": False,
    }


def test_it_waits_for_the_rate_and_goes_on(settings, monkeypatch):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1
    slept = []

    def next_minute(seconds):
        slept.append(seconds)
        execute("delete from requeue_window")

    monkeypatch.setattr(batches, "sleep", next_minute)
    job = buried(5)
    out, err = run("--job", f"job-{job.pk}")
    assert "5 of 5" in out
    assert len(slept) == 2
    assert all(1 <= seconds <= 60 for seconds in slept)
    assert f"waiting {slept[0]} s for the rate" in err


def test_what_dies_again_meanwhile_is_left_for_the_next_time(monkeypatch):
    job = buried(3)
    ask = batches.Batches._ask

    def ask_and_die(self, wanted):
        answer = ask(self, wanted)
        hand = register()
        hand.settle(*(failure(task) for task in hand.claim(10)))
        return answer

    monkeypatch.setattr(batches.Batches, "_ask", ask_and_die)
    assert "3 of 3" in run("--job", f"job-{job.pk}")[0]
    assert DeadLetter.objects.count() == 3


def test_ctrl_c_stops_it_and_the_same_command_goes_on(monkeypatch):
    job = buried(5)
    ask = batches.Batches._ask

    def ask_and_stop(self, wanted):
        if AuditEntry.objects.exists():
            raise KeyboardInterrupt
        return ask(self, wanted)

    monkeypatch.setattr(batches.Batches, "_ask", ask_and_stop)
    out = io.StringIO()
    with pytest.raises(CommandError) as stopped:
        call_command("requeue", "--job", f"job-{job.pk}", stdout=out, stderr=io.StringIO())
    assert stopped.value.returncode == 130
    assert "2 of 2" in out.getvalue()
    monkeypatch.undo()
    assert "3 of 3" in run("--job", f"job-{job.pk}")[0]


def test_the_confirm_token_is_asked_for_and_may_come_by_standard_input(settings, monkeypatch):
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "yes"
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = 2
    job = buried(3)
    error = refused("--job", f"job-{job.pk}")
    assert error.returncode == 2
    assert "--confirm TOKEN" in str(error)
    assert refused("--job", f"job-{job.pk}", "--confirm", "no").returncode == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert "3 of 3" in run("--job", f"job-{job.pk}", "--confirm", "-")[0]


@pytest.mark.parametrize(
    "arguments", [(), ("--dry-run",), ("--tasks", "job-1-1", "--tenant", "acme")]
)
def test_it_has_to_be_said_which_ones(arguments):
    error = refused(*arguments)
    assert error.returncode == 2
    assert "--error-code" in str(error)
