"""The dashboard's hour: what ended, failed, waited and ran by the minute, and what today cost."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.actions import figures
from jobs.models import MinuteLoad, MinuteStats, Pool, UsageEntry, Worker
from jobs.queries.minutes import last_hour, usual_failing_share
from jobs.states import PRIORITIES
from jobs.transitions import workers
from tests.integration.console import operator, page, plain, staff
from tests.integration.scenario import failure, register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def console():
    cache.clear()
    return operator()


def minute(back=0, **more):
    """A minute's count, so many minutes ago."""
    when = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=back)
    row = {"pool_id": 1, "priority": 1, "outcome": "Succeeded", "code": "", "attempts": 1}
    used = {"input_tokens": 0, "output_tokens": 0, "cost_nano_usd": 0}
    return MinuteStats.objects.create(minute=when, **{**row, **used, **more})


def test_what_workers_settled_stands_in_the_chart_and_among_the_causes(console):
    submit_echo(5)
    hand = register()
    tasks = hand.claim(5)
    hand.settle(*(failure(task, "permanent", "EndpointAuth") for task in tasks[:2]))
    hand.succeed(tasks[2:])
    figures.add_tallies()
    shown = page(console, "/admin/")
    assert "5 in all, at most 5." in shown
    assert "EndpointAuth 2 dead-lettered 2 " in plain(shown)


def test_the_hour_has_what_its_minutes_have_and_nothing_older():
    minute(back=3, outcome="Failed", code="RateLimited", attempts=7)
    minute(back=90, outcome="Failed", code="RateLimited", attempts=500)
    hour = last_hour(now=timezone.now())
    assert hour.failures == {"RateLimited": 7}
    assert sum(sum(counts.values()) for counts in hour.ended) == 7


def test_causes_are_the_most_frequent_first_and_name_how_many_more_there_are(console):
    for number in range(8):
        minute(back=2, outcome="Failed", code=f"Cause{number}", attempts=number + 1)
    shown = plain(page(console, "/admin/"))
    assert shown.index("Cause7 8") < shown.index("Cause3 4")
    assert "Cause1" not in shown
    assert "and 2 more causes" in shown


def test_the_share_that_fails_is_compared_with_the_days_before(console):
    for day, failing in ((1, 10), (2, 20), (3, 90)):
        minute(back=day * 1440, outcome="Failed", code="x", attempts=failing)
        minute(back=day * 1440, attempts=100 - failing)
    minute(outcome="Lost", code="worker_lost", attempts=30)
    minute(attempts=70)
    assert usual_failing_share(now=timezone.now()) == 0.2
    assert "Failing attempts 30 % 15 min; usual 20" in plain(page(console, "/admin/"))


def test_each_queue_has_a_line_of_its_hour(console):
    register()
    pool = Pool.objects.get(name="default")
    now = timezone.now().replace(second=0, microsecond=0)
    for back, queued in ((3, 40), (2, 10)):
        MinuteLoad.objects.create(
            minute=now - timedelta(minutes=back),
            pool_id=pool.pk,
            priority=PRIORITIES["standard"],
            queued=queued,
            running=2,
            oldest_seconds=1,
        )
    assert "Queued in the last hour: between 10 and 40." in page(console, "/admin/")


def test_slots_are_squares_and_a_lost_or_draining_worker_is_told_apart(console):
    submit_echo(3)
    hand, draining, lost = register(slots=4), register(slots=2), register(slots=2)
    hand.claim(3)
    workers.drain(draining.worker.pk)
    Worker.objects.filter(pk=lost.worker.pk).update(
        heartbeat_at=timezone.now() - timedelta(minutes=5)
    )
    shown = page(console, "/admin/")
    squares = shown.partition("<h2>Slots</h2>")[2].partition("Tokens and cost")[0]
    assert squares.count('<i class="run-f"></i>') == 3 + 1  # and the legend's
    assert squares.count('<i class="o"></i>') == 2
    assert "draining" in squares
    assert "lost 5" in plain(squares).replace("\N{NO-BREAK SPACE}", " ")


def test_today_is_added_up_by_tenant_the_dearest_first(console):
    for owner, cost in (("acme", 1), ("globex", 3)):
        job = submit_echo(1, owner=owner)
        register().claim(1)
        UsageEntry.objects.create(
            task_id=job.pk << 20 | 1,
            epoch=1,
            call=0,
            tenant_id=job.tenant_id,
            endpoint="e",
            model="m",
            input_tokens=1_000,
            output_tokens=10,
            cost_nano_usd=cost * 10**9,
            wasted=True,  # the ledger alone is looked at
            recorded_at=timezone.now(),
        )
    shown = plain(page(console, "/admin/"))
    assert "Cost today $4.00 2,020 tokens" in shown
    assert shown.index("globex 1,000 in · 10 out $3.00") < shown.index("acme 1,000 in")


def test_the_jobs_that_something_happened_to_last_come_first(console):
    old, new = submit_echo(1), submit_echo(1)
    register().claim(1)
    shown = page(console, "/admin/").partition("Jobs that changed last")[2]
    assert shown.index(f">job-{old.pk}<") < shown.index(f">job-{new.pk}<")


def test_the_empty_dashboard_says_what_would_fill_it(console):
    shown = page(console, "/admin/")
    for said in (
        "Nothing needs you",
        "No attempt ended in the last hour",
        "Nothing failed in the last hour",
        "No dead letters",
        "python -m workeragent",
        "No model was called today",
        "No job yet",
    ):
        assert said in shown


def test_with_many_pools_the_dashboard_shows_those_where_something_waits(console):
    for number in range(15):
        register(pool=f"pool-{number}")
    submit_echo(1)
    shown = page(console, "/admin/")
    assert '<b class="ink">default</b>' in shown
    assert "pool-14</b>" not in shown
    assert "more wait for nothing" in shown


def test_links_lead_only_where_the_reader_may_go():
    cache.clear()
    submit_echo(1)
    register(slots=1)
    shown = page(staff("jobs.view_job"), "/admin/")
    assert "/admin/jobs/worker/" not in shown
    assert "/admin/queues/" not in shown


def test_the_dashboard_looks_at_no_table_from_end_to_end():
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
    submit_echo(3)
    hand = register()
    hand.fail(hand.claim(2))
    figures.add_tallies()
    console = operator()
    cache.clear()
    with CaptureQueriesContext(connection) as asked:
        page(console, "/admin/figures/")
    plans = []
    with connection.cursor() as cursor:
        for query in asked:
            if query["sql"].lstrip().lower().startswith(("select", "with")):
                cursor.execute("explain " + query["sql"].replace("%", "%%"))
                plans += [row[0] for row in cursor.fetchall()]
    scanned = [line for line in plans if "Seq Scan on " in line]
    assert plans
    for table in ("task", "attempt", "audit_entry", "usage_entry", "job"):
        assert not [line for line in scanned if f"Seq Scan on {table} " in line], scanned
