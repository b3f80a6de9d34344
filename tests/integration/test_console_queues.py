"""The console's page about queues, and RQ's own pages: both show, neither changes anything."""

import re

import pytest
import redis as redis_client
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from queueing import rq_pages, tickets
from queueing.rq_client import queue_name
from tests.integration.console import browser, operator, page, plain, staff, text
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

EVIL = "<script>alert(1)</script>"
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def console():
    cache.clear()
    return operator()


@pytest.fixture
def redis(monkeypatch):
    """The tests' own Redis, without what other tests left in it, and nobody else writes to it."""
    monkeypatch.setattr(tickets, "ring", lambda pool, tickets=1: None)
    with redis_client.Redis.from_url(django_settings.DAEF_REDIS_URL) as client:
        client.flushdb()
        yield client
        client.flushdb()


def queue(redis, pool="default"):
    return Queue(queue_name(pool), connection=redis, serializer=JSONSerializer)


def ticket(redis, pool="default", **more):
    """A ticket as the control plane writes it."""
    return queue(redis, pool).enqueue(
        "workeragent.worker.run_ticket", kwargs={"v": 1, "pool": pool}, **more
    )


def everything(redis):
    """All that Redis holds, without what passes by itself."""
    return sorted(
        (key, redis.type(key), redis.dump(key))
        for key in redis.keys()  # noqa: SIM118 (no dictionary)
    )


# ── our own page ──────────────────────────────────────────────────────────────────────────────────


def test_the_page_shows_what_waits_and_which_tickets_lie_there(console, redis):
    submit_echo(5, priority="interactive")
    register()
    ticket(redis)
    ticket(redis)
    shown = plain(page(console, "/admin/queues/"))
    assert "default · interactive 5 " in shown
    assert re.search(r"default 2 .{1,20} 0 0 0 5 ", shown)


def test_failed_tickets_are_counted_and_lead_to_rqs_page_of_them(console, redis):
    register()
    failed = ticket(redis)
    FailedJobRegistry(queue_name("default"), redis).add(failed, ttl=60)
    shown = page(console, "/admin/queues/")
    assert 'href="/admin/rq/queues/0/failed/">1</a>' in shown
    assert failed.id in page(console, "/admin/rq/queues/0/failed/")


def test_agents_are_shown_as_they_entered_themselves(console, redis):
    redis.sadd("rq:workers", "rq:worker:w-1")
    redis.hset("rq:worker:w-1", mapping={"queues": EVIL, "hostname": "node-7", "pid": "42"})
    redis.sadd("rq:workers", "rq:worker:expired")
    shown = page(console, "/admin/queues/")
    assert "w-1" in shown
    assert "node-7" in shown
    assert EVIL not in shown
    assert "expired" not in shown


def test_without_redis_the_page_shows_what_waits_and_says_so(console):
    submit_echo(3)
    register()
    with override_settings(DAEF_REDIS_URL=AWAY):
        shown = plain(page(console, "/admin/queues/"))
    assert "Redis does not answer" in shown
    assert "default · standard 3 " in shown
    assert "Agents listening" not in shown


def test_the_dashboard_calls_when_redis_is_away(console):
    assert "Redis does not answer" not in page(console, "/admin/")
    cache.clear()
    with override_settings(DAEF_REDIS_URL=AWAY):
        assert "Redis does not answer" in page(console, "/admin/")


def test_the_page_is_empty_at_first(console, redis):
    assert "No agent listens for tickets" in page(console, "/admin/queues/")


def test_the_part_that_is_asked_for_again_is_not_a_whole_page(console):
    shown = page(console, "/admin/queues/?fragment=1")
    assert "<html" not in shown
    assert "What waits" in shown


def test_the_page_costs_as_many_statements_with_30_pools_as_with_one(console):
    def statements():
        with CaptureQueriesContext(connection) as asked:
            page(console, "/admin/queues/")
        return len(asked)

    register(pool="pool-0")
    page(console, "/admin/queues/")
    with_one = statements()
    for number in range(1, 30):
        register(pool=f"pool-{number}")
    assert statements() == with_one


def test_queues_need_leave_to_see_pools():
    viewer = staff("jobs.view_job")
    for address in ("/admin/queues/", "/admin/rq/", "/admin/rq/queues/0/"):
        response = viewer.get(address)
        assert response.status_code == 403
        assert "jobs.view_pool" in text(response)
    assert 'href="/admin/queues/"' not in page(viewer, "/admin/")
    assert browser().get("/admin/rq/")["Location"].startswith("/admin/login/")


# ── RQ's own pages ────────────────────────────────────────────────────────────────────────────────


def rq_addresses(job):
    """Every address of RQ's pages with its name."""
    resolver = next(r for r in get_resolver().url_patterns if str(r.pattern) == "admin/rq/")
    assert isinstance(resolver, URLResolver)
    for pattern in resolver.url_patterns:
        assert isinstance(pattern, URLPattern)
        address = str(pattern.pattern).replace("<str:job_id>", job).replace("^", "")
        address = address.replace("(?P<token>[\\w]+)?/?$", "token").replace("/?$", "")
        yield pattern.name, "/admin/rq/" + re.sub(r"<\w+:\w+>", "0", address)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_every_method_but_get_is_refused_and_changes_nothing(console, redis, method):
    register()
    waiting, failed = ticket(redis), ticket(redis)
    queue(redis).remove(failed)
    FailedJobRegistry(queue_name("default"), redis).add(failed, ttl=600)
    before = everything(redis)
    form = {"action": "delete", "_selected_action": [waiting.id], "job_ids": [waiting.id]}
    for each in (waiting, failed):
        for name, address in rq_addresses(each.id):
            response = getattr(console, method)(address, form if method == "post" else "")
            assert response.status_code == 405, (name, address)
            assert response["Allow"] == "GET, HEAD"
    assert everything(redis) == before


def test_the_refusal_is_a_page_that_says_why(console, redis):
    register()
    assert "read only" in text(console.post("/admin/rq/queues/0/empty/"))


def test_a_refusal_needs_no_form(redis):
    register()
    console = operator()
    console.handler.enforce_csrf_checks = True
    assert console.post("/admin/rq/queues/0/empty/").status_code == 405


def test_pages_that_lead_to_a_change_are_not_there(console, redis):
    register()
    job = ticket(redis)
    for name, address in rq_addresses(job.id):
        if name not in rq_pages.READ:
            assert console.get(address).status_code == 404, name
    assert queue(redis).job_ids == [job.id]


def test_every_page_that_shows_something_is_answered(console, redis):
    register()
    job = ticket(redis)
    shown = {name: console.get(address) for name, address in rq_addresses(job.id)}
    for name in rq_pages.READ - {"result_detail", "worker_details"}:
        assert shown[name].status_code == 200, name
        assert "the truth about tasks is under" in text(shown[name])
    assert job.id in text(shown["jobs"])


@pytest.mark.parametrize(
    "address", ["queues/7/", f"queues/{10**40}/", "queues/0/none/", "workers/0/none/", "workers/9/"]
)
def test_what_rq_does_not_have_is_a_page_that_says_so(console, redis, address):
    register()
    assert console.get(f"/admin/rq/{address}").status_code == 404


def test_a_message_that_is_no_ticket_breaks_no_page(console, redis):
    register()
    job = ticket(redis)
    redis.hset(f"rq:job:{job.id}", "data", b"\xff\xfe not json")
    for name, address in rq_addresses(job.id):
        assert console.get(address).status_code in (200, 404), name


def test_without_redis_rqs_pages_say_so(console):
    register()
    with override_settings(DAEF_REDIS_URL=AWAY):
        response = console.get("/admin/rq/")
    assert response.status_code == 503
    assert "Redis does not answer" in text(response)


def test_rqs_own_commands_and_console_entry_stay_out():
    assert "django_rq" not in django_settings.INSTALLED_APPS
