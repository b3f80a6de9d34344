"""The sums: exact however many processes count and add, whatever is cut off."""

import threading

import pytest
from django.db import connection
from prometheus_client import CollectorRegistry, Counter

from jobs import figures, metrics
from jobs.actions.figures import MINUTES_KEPT_DAYS, add_tallies, forget_minutes, recount_tasks
from jobs.metrics import ProcessCounts
from jobs.models import Figure, MinuteLoad, MinuteStats, Tally
from jobs.transitions.sql import execute, fetch
from tests.integration.scenario import (
    failure,
    register,
    submit_echo,
    submit_job,
    submit_pipeline,
    success,
)
from tests.integration.scrapes import call, tasks, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


# ── a process' own counts ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def process():
    """A process with one counter, whose counts are told by a teller."""
    registry = CollectorRegistry()
    counter = Counter("daef_settlements_fenced", "Test.", registry=registry)
    return counter, figures.Teller(ProcessCounts(registry))


def test_counts_of_several_processes_add_up_and_are_told_once(process):
    counter, teller = process
    other_registry = CollectorRegistry()
    other = Counter("daef_settlements_fenced", "Test.", registry=other_registry)
    counter.inc(2)
    other.inc(5)
    for each in (teller, figures.Teller(ProcessCounts(other_registry)), teller):
        each.tell()
    assert value("daef_settlements_fenced_total") == 7
    counter.inc()
    teller.tell()
    assert value("daef_settlements_fenced_total") == 8


def test_a_process_that_starts_anew_takes_nothing_back(process):
    counter, teller = process
    counter.inc(4)
    teller.tell()
    registry = CollectorRegistry()
    anew = Counter("daef_settlements_fenced", "Test.", registry=registry)
    anew.inc(1)
    figures.Teller(ProcessCounts(registry)).tell()
    assert value("daef_settlements_fenced_total") == 5


def test_counts_that_could_not_be_told_are_told_the_next_time(process, monkeypatch):
    counter, teller = process
    counter.inc(3)
    with monkeypatch.context() as away:
        away.setattr("jobs.figures.figures.add_counts", _database_away)
        with pytest.raises(ConnectionError):
            teller.tell()
    teller.tell()
    assert value("daef_settlements_fenced_total") == 3


def _database_away(counts):
    raise ConnectionError


def test_a_pass_tells_adds_and_samples(process):
    counter, teller = process
    counter.inc()
    submit_echo(4)
    register().claim(1)
    teller.one_pass()
    assert Figure.objects.filter(name="daef_settlements_fenced_total").exists()
    assert not Tally.objects.exists()
    load = MinuteLoad.objects.get(priority=0)
    assert (load.queued, load.running) == (3, 1)


def test_mere_statistics_of_the_database_wait_a_while():
    registry = CollectorRegistry()
    counter = Counter("django_db_execute", "Test.", registry=registry)
    teller = figures.Teller(ProcessCounts(registry))
    counter.inc()
    teller.one_pass()
    counter.inc()
    teller.one_pass()
    assert told("django_db_execute_total") == 1
    teller.tell()
    assert told("django_db_execute_total") == 2


def told(name):
    return Figure.objects.get(name=name, labels="{}").value


# ── adding ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_processes_that_add_at_the_same_time_add_each_tally_once():
    tallies = 400
    execute(
        "insert into tally (name, labels, amounts, happened_at) "
        "select 'requeued', '{}', '{1}', now() from generate_series(1, %s)",
        (tallies,),
    )
    threads = [threading.Thread(target=_add_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value("daef_requeued_total") == tallies


def _add_all():
    try:
        while Tally.objects.exists():
            add_tallies()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_adding_that_is_cut_off_leaves_the_tallies(monkeypatch):
    submit_echo(5)
    before = tasks()
    with monkeypatch.context() as cut:
        cut.setattr("jobs.actions.figures.figures.add_minutes", _database_away)
        with pytest.raises(ConnectionError):
            add_tallies()
    assert Tally.objects.count() == 2
    assert tasks() == before == {"Queued": 5}
    add_tallies()
    assert tasks() == before


@pytest.mark.django_db(transaction=True)
def test_who_comes_while_another_adds_does_not_wait():
    submit_echo(1)
    adding, may_end = threading.Event(), threading.Event()

    def slow():
        from django.db import transaction

        from jobs.transitions import figures as writer

        with transaction.atomic():
            assert writer.my_turn()
            adding.set()
            may_end.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    adding.wait(10)
    assert add_tallies() == 0
    may_end.set()
    thread.join()
    assert add_tallies() == 2


def test_what_a_process_without_tallies_did_is_counted_by_the_next_recount():
    submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    hand = register()
    hand.fail(hand.claim(1))
    submit_echo(3, priority="batch")
    before = tasks()
    assert recount_tasks() == 0
    execute("delete from tally where name = 'tasks'")
    assert tasks() == {}
    assert recount_tasks() == 2
    assert tasks() == before
    add_tallies()
    execute("update figure set value = value + 5 where name = 'pool_tasks'")
    assert recount_tasks() == 2
    assert tasks() == before
    assert recount_tasks() == 0


# ── minutes ───────────────────────────────────────────────────────────────────────────────────────


def test_minutes_keep_attempts_by_outcome_and_code_with_what_they_used():
    submit_job({"type": "chat", "input": "hello"})
    submit_echo(3, priority="batch")
    hand = register()
    task, *echoes = hand.claim(4)
    hand.settle(success(task)._replace(usage=(call(task),)), failure(echoes[0], code="a_code"))
    hand.succeed(echoes[1:])
    add_tallies()
    rows = MinuteStats.objects.order_by("-priority", "code").values_list(
        "priority", "outcome", "code", "attempts", "input_tokens", "output_tokens", "cost_nano_usd"
    )
    assert list(rows) == [
        (0, "Succeeded", "", 1, 10, 5, 700),
        (-50, "Succeeded", "", 2, 0, 0, 0),
        (-50, "Failed", "a_code", 1, 0, 0, 0),
    ]
    assert fetch("select bool_and(minute = date_trunc('minute', minute)) from minute_stats")[0][0]


def test_error_codes_that_come_in_a_flood_are_not_kept_apart(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_CODES", 2)
    submit_echo(5)
    hand = register()
    hand.settle(*(failure(task, code=f"code_{task.id}") for task in hand.claim(5)))
    add_tallies()
    counts = dict(MinuteStats.objects.values_list("code", "attempts"))
    assert len(counts) == 3
    assert counts["other"] == 3


def test_the_load_of_a_minute_is_its_peak():
    teller = figures.Teller(ProcessCounts(CollectorRegistry()))
    submit_echo(3)
    teller.one_pass()
    hand = register()
    hand.succeed(hand.claim(3))
    teller._sampled_at = 0.0
    teller.one_pass()
    assert max(MinuteLoad.objects.filter(priority=0).values_list("queued", flat=True)) == 3


def test_old_minutes_are_forgotten():
    submit_echo(1)
    hand = register()
    hand.fail(hand.claim(1))
    figures.Teller(ProcessCounts(CollectorRegistry())).one_pass()
    for table in ("minute_stats", "minute_load"):
        execute(f"update {table} set minute = minute - %s * interval '1 day'", [MINUTES_KEPT_DAYS])
    assert forget_minutes() > 0
    assert not MinuteStats.objects.exists()
    assert not MinuteLoad.objects.exists()


def test_sums_of_a_minute_beyond_64_bits_stay_at_the_largest_and_stop_nothing():
    execute(
        "insert into tally (name, labels, amounts, happened_at) "
        "select 'attempts', '{1,100,echo,Succeeded,\"\",1,1}', "
        "array[1, 0, 0, 9000000000000000000, 1, 9000000000000000000], now() "
        "from generate_series(1, 3)"
    )
    add_tallies()
    assert not Tally.objects.exists()
    minute = MinuteStats.objects.get()
    assert (minute.attempts, minute.output_tokens) == (3, 3)
    assert (minute.input_tokens, minute.cost_nano_usd) == (2**63 - 1, 2**63 - 1)
