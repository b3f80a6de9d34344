"""The console's pages: each shows what is true, escapes what it is given, and costs the same."""

import re
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from jobs.models import Task, Worker
from jobs.states import JobStatus
from tests.integration.console import browser, operator, page, plain, staff, text
from tests.integration.scenario import register, submit_echo, submit_pipeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

EVIL = "<script>alert(1)</script>"
PAYLOAD = "only-the-report-may-show-this"


@pytest.fixture(autouse=True)
def _fresh_dashboard():
    cache.clear()


@pytest.fixture
def console():
    return operator()


def failed_job():
    """A job whose one task is dead-lettered."""
    job, hand = submit_echo(1), register()
    hand.fail(hand.claim(1))
    return job


# ── who may see what ──────────────────────────────────────────────────────────────────────────────

PAGES = [
    "/admin/jobs/job/",
    "/admin/jobs/job/job-1/",
    "/admin/jobs/job/job-1/tasks/1/",
    "/admin/jobs/job/job-1/report/",
    "/admin/jobs/job/job-1/cancel/",
    "/admin/jobs/task/",
    "/admin/jobs/deadletter/",
    "/admin/jobs/deadletter/requeue/",
    "/admin/audit/auditentry/",
    "/admin/audit/auditentry/1/",
    "/admin/audit/auditentry/csv/",
    "/admin/jobs/worker/",
    "/admin/jobs/worker/1/",
    "/admin/jobs/worker/1/drain/",
    "/admin/jobs/pool/",
    "/admin/jobs/pool/default/",
    "/admin/jobs/policy/",
    "/admin/jobs/policy/enterprise-default/",
    "/admin/jobs/modelendpoint/",
    "/admin/access/tenant/",
    "/admin/access/tenant/default/",
]


@pytest.mark.parametrize("address", [*PAGES, "/admin/", "/admin/figures/"])
def test_without_a_login_every_page_asks_for_one(address):
    assert browser().get(address)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("address", PAGES)
def test_staff_without_its_permission_is_refused_and_told_which(address):
    response = staff().get(address)
    assert response.status_code == 403
    assert "permission" in text(response)


def test_staff_without_leave_to_see_jobs_has_an_empty_dashboard():
    submit_echo(1, owner="acme")
    shown = page(staff(), "/admin/")
    assert "jobs.view_job" in shown
    assert "acme" not in shown
    assert "acme" not in page(staff(name="sue"), "/admin/figures/")


def test_the_menu_has_only_what_one_may_see():
    shown = page(staff("jobs.view_worker"), "/admin/jobs/worker/")
    assert "/admin/jobs/worker/" in shown
    assert 'href="/admin/jobs/job/"' not in shown


def test_no_page_adds_changes_or_deletes_by_a_form():
    names = {pattern.name for pattern in _patterns(get_resolver()) if pattern.name}
    assert [n for n in names if n.endswith(("_add", "_delete", "_history"))] == []


def _patterns(resolver):
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern)
        elif isinstance(pattern, URLPattern):
            yield pattern


@pytest.mark.parametrize(
    "address",
    [
        "/admin/jobs/job/job-999/",
        "/admin/jobs/job/nonsense/",
        "/admin/jobs/job/job-99999999999999999999/",
        "/admin/jobs/worker/999/",
        "/admin/jobs/worker/x/",
        "/admin/jobs/worker/99999999999999999999999/",
        "/admin/jobs/pool/none/",
        "/admin/jobs/policy/none/",
        "/admin/jobs/modelendpoint/none/",
        "/admin/access/tenant/none/",
        "/admin/jobs/job/job-999/cancel/",
        "/admin/jobs/task/job-x/",
        "/admin/audit/auditentry/999/",
        "/admin/audit/auditentry/x/",
        "/admin/audit/auditentry/99999999999999999999/",
        "/admin/jobs/worker/999/drain/",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(console, address):
    response = console.get(address)
    assert response.status_code == 404
    assert "There is no such page" in text(response)


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=99999999999999999999",
        "before=%D9%A3",
        "status=%00",
        "tenant=%00",
        "tenant=" + "x" * 3000,
        "q=%00",
        "q=%F0%9F",
        "type=none&priority=none",
        "tasks=%00&from=-1",
    ],
)
def test_a_strange_address_is_answered_all_the_same(console, query):
    job = submit_echo(1)
    assert console.get(f"/admin/jobs/job/?{query}").status_code == 200
    assert console.get(f"/admin/jobs/job/job-{job.pk}/?{query}").status_code == 200


# ── the dashboard ─────────────────────────────────────────────────────────────────────────────────


def test_the_dashboard_counts_jobs_queues_and_slots(console):
    submit_echo(5, priority="interactive")
    hand = register(slots=4)
    hand.claim(2)
    shown = plain(page(console, "/admin/"))
    assert "default · interactive 3 " in shown
    assert "Slots busy 2 of 4" in shown
    assert "Waiting 3 running 2" in shown
    assert "Running 1" in shown


def test_the_dashboard_says_when_nothing_needs_a_person(console):
    assert "Nothing needs you" in page(console, "/admin/")


def test_the_dashboard_calls_when_nobody_serves_a_pool_with_work(console):
    submit_echo(1)
    assert "No live worker serves the pool default" in page(console, "/admin/")


def test_the_dashboard_calls_when_a_class_waits_beyond_its_bound(console):
    submit_echo(1, priority="interactive")
    register(slots=1)
    Task.objects.update(queued_at=timezone.now() - timedelta(seconds=95))
    shown = plain(page(console, "/admin/"))
    assert "default · interactive waits 1 min 3" in shown


def test_the_dashboard_calls_for_many_dead_letters_of_one_cause(console):
    submit_echo(5)
    hand = register()
    hand.fail(hand.claim(5))
    assert "5 tasks died of one cause in the last hour: broken" in page(console, "/admin/")


def test_a_lost_worker_with_tasks_is_called_out(console):
    submit_echo(1)
    hand = register()
    hand.claim(1)
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert "was not heard of for" in page(console, "/admin/")


def test_the_database_is_asked_once_however_many_look(console):
    page(console, "/admin/figures/")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        page(console, "/admin/figures/")
    assert not [query for query in asked if "job_stage" in query["sql"]]


def test_the_figures_are_a_part_of_a_page(console):
    assert "<html" not in page(console, "/admin/figures/")


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_list_shows_a_job_by_id_status_and_reason(console):
    job = failed_job()
    shown = plain(page(console, "/admin/jobs/job/"))
    assert f"job-{job.pk} batch · default" in shown
    assert "Failed" in shown


@pytest.mark.parametrize("status", list(JobStatus))
def test_every_status_has_its_badge(console, status):
    from jobs.admin.tags import badge

    assert f'title="{status}"' in badge(status)


def test_the_list_is_narrowed_by_status(console):
    failed, waiting = failed_job(), submit_echo(1)
    shown = page(console, "/admin/jobs/job/?status=active")
    assert f"job-{waiting.pk}" in shown
    assert f"job-{failed.pk}" not in shown


def test_the_list_is_narrowed_by_tenant_and_priority(console):
    mine = submit_echo(1, owner="acme", priority="batch")
    other = submit_echo(1, owner="globex", priority="batch")
    shown = page(console, "/admin/jobs/job/?tenant=acme&priority=batch")
    assert f"job-{mine.pk}" in shown
    assert f"job-{other.pk}" not in shown
    assert "No job matches" in page(console, "/admin/jobs/job/?tenant=acme&priority=standard")


@pytest.mark.parametrize("sought", ["id", "number", "uid"])
def test_the_search_goes_straight_to_a_job(console, sought):
    job = submit_echo(1)
    typed = {"id": f" JOB-{job.pk} ", "number": str(job.pk), "uid": str(job.uid)}[sought]
    response = console.get("/admin/jobs/job/", {"q": typed})
    assert response["Location"] == f"/admin/jobs/job/job-{job.pk}/"


def test_a_search_without_success_says_so(console):
    assert "There is no job" in page(console, f"/admin/jobs/job/?q={uuid.uuid4()}")


def test_the_list_goes_on_where_the_page_before_ended(console):
    jobs = [submit_echo(1) for _ in range(51)]
    first = page(console, "/admin/jobs/job/")
    assert f"job-{jobs[0].pk}<" not in first
    older = re.search(r'href="(\?before=\d+)"', first)
    assert older
    assert f">job-{jobs[0].pk}<" in page(console, f"/admin/jobs/job/{older[1]}")


def test_a_jobs_page_shows_progress_reason_timeline_and_tasks(console):
    job = failed_job()
    shown = plain(page(console, f"/admin/jobs/job/job-{job.pk}/"))
    for part in ("1 task is dead-lettered", "Why it ended so", "Would help", "Submitted", "Ended"):
        assert part in shown
    assert f"job-{job.pk}-1" in shown
    assert "broken it broke" in shown


def test_an_open_jobs_page_says_what_would_help(console):
    job = submit_echo(1)
    shown = plain(page(console, f"/admin/jobs/job/job-{job.pk}/"))
    assert "WaitingForWorkers" in shown
    assert "Would help:" in shown


def test_a_jobs_tasks_are_narrowed_and_paged(console):
    job = submit_echo(51)
    address = f"/admin/jobs/job/job-{job.pk}/"
    assert f"job-{job.pk}-51<" not in page(console, address)
    assert f"job-{job.pk}-51<" in page(console, f"{address}?from=50")
    assert "No task is in this state" in page(console, f"{address}?tasks=DeadLettered")


def test_an_ended_job_asks_the_browser_for_no_more(console):
    assert "data-every" not in page(console, f"/admin/jobs/job/job-{failed_job().pk}/")
    assert 'data-every="2"' in page(console, f"/admin/jobs/job/job-{submit_echo(1).pk}/")


def test_a_part_of_a_page_is_not_a_whole_one(console):
    job = submit_echo(1)
    shown = page(console, f"/admin/jobs/job/job-{job.pk}/?fragment=1")
    assert "<html" not in shown
    assert f"job-{job.pk}-1" in shown


def test_a_tasks_page_shows_its_attempts(console):
    job = failed_job()
    shown = plain(page(console, f"/admin/jobs/job/job-{job.pk}/tasks/1/"))
    assert "lease 1" in shown
    assert "broken" in shown
    assert "alice" in shown
    assert console.get(f"/admin/jobs/job/job-{job.pk}/tasks/2/").status_code == 404


def test_what_users_wrote_is_escaped(console):
    job = submit_pipeline({"name": EVIL}, labels={"team": EVIL})
    for address in ("", f"job-{job.pk}/", f"job-{job.pk}/tasks/1/"):
        assert EVIL not in page(console, f"/admin/jobs/job/{address}")


def test_payloads_are_in_the_report_alone(console):
    job, hand = submit_pipeline({"name": "a", "input": PAYLOAD}), register()
    hand.succeed(hand.claim(1), PAYLOAD)
    for address in ("", f"job-{job.pk}/", f"job-{job.pk}/tasks/1/"):
        assert PAYLOAD not in page(console, f"/admin/jobs/job/{address}")
    assert PAYLOAD not in page(console, "/admin/")
    assert PAYLOAD in page(console, f"/admin/jobs/job/job-{job.pk}/report/")


def test_the_report_asks_for_nothing_else(console):
    job = submit_echo(1)
    report = console.get(f"/admin/jobs/job/job-{job.pk}/report/")
    assert report["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_report_needs_leave_to_read_payloads():
    job, viewer = submit_echo(1), staff("jobs.view_job")
    address = f"/admin/jobs/job/job-{job.pk}/"
    assert f"{address}report/" not in page(viewer, address)
    assert viewer.get(f"{address}report/").status_code == 403


# ── the fleet and what it runs under ──────────────────────────────────────────────────────────────


def test_the_workers_page_shows_slots_and_state(console):
    submit_echo(3)
    register(slots=4).claim(3)
    shown = plain(page(console, "/admin/jobs/worker/"))
    assert "alice node-1 · default Active 3 of 4 busy" in shown


def test_a_silent_worker_is_lost(console):
    register()
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert 'title="Lost"' in page(console, "/admin/jobs/worker/")


def test_a_workers_page_shows_what_it_holds(console):
    job, hand = submit_echo(1), register()
    hand.claim(1)
    shown = page(console, f"/admin/jobs/worker/{hand.worker.pk}/")
    assert f"job-{job.pk}-1" in shown


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("jobs/pool/", "default"),
        ("jobs/pool/default/", "Slots busy"),
        ("jobs/policy/", "enterprise-default"),
        ("jobs/policy/enterprise-default/", "In force"),
        ("jobs/modelendpoint/", "embedded"),
        ("jobs/modelendpoint/embedded-chat/", "inside the agent"),
        ("access/tenant/", "default"),
        ("access/tenant/default/", "no limit"),
    ],
)
def test_what_operators_set_is_shown(console, address, said):
    submit_echo(1)
    assert said in page(console, f"/admin/{address}")


def test_the_list_is_narrowed_to_what_needs_a_look(console):
    failed, waiting = failed_job(), submit_echo(1)
    shown = page(console, "/admin/jobs/job/?status=troubled")
    assert f">job-{failed.pk}<" in shown
    assert f">job-{waiting.pk}<" not in shown
