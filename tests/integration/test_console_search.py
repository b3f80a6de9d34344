"""The console's search: whole ids, beginnings of names, and only what the user may see."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Pool
from tests.integration.console import operator, page, staff, text
from tests.integration.scenario import register, submit_echo
from tests.integration.tokens import make_token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

PALETTE = "/admin/search/?extended=1&s="
PAGE = "/admin/search/?s="


@pytest.fixture
def console():
    return operator()


def links(console, sought):
    """What the palette offers."""
    shown = page(console, PALETTE + sought)
    return [part.partition('"')[0] for part in shown.split('href="')[1:]]


def test_jobs_and_tasks_are_found_by_their_ids(console):
    job = submit_echo(2)
    for sought in (f"job-{job.pk}", f"JOB-{job.pk}", str(job.pk), str(job.uid)):
        assert f"/admin/jobs/job/job-{job.pk}/" in links(console, sought)
    assert links(console, f"job-{job.pk}-2") == [f"/admin/jobs/job/job-{job.pk}/tasks/2/"]
    assert links(console, f"job-{job.pk}-3") == []
    assert links(console, "job-999") == []


def test_tokens_are_found_by_their_beginning_and_never_shown_whole(console):
    secret = make_token("ci-acme", "tenant:acme")
    for sought in (secret[:11], secret, "ci-", "ci-acme"):
        assert links(console, sought) == ["/admin/access/apitoken/ci-acme/"]
        assert secret not in page(console, PALETTE + secret[:11])


def test_workers_tenants_policies_pools_and_endpoints_are_found_by_how_they_begin(console):
    submit_echo(1, owner="acme")
    hand = register()
    worker = f"/admin/jobs/worker/{hand.worker.pk}/"
    for sought, link in (
        ("ali", worker),
        ("node-1", worker),
        (f"worker-{hand.worker.pk}", worker),
        ("acm", "/admin/access/tenant/acme/"),
        ("enterprise", "/admin/jobs/policy/enterprise-default/"),
        ("embedded-c", "/admin/jobs/modelendpoint/embedded-chat/"),
        ("def", "/admin/jobs/pool/default/"),
    ):
        assert link in links(console, sought), sought


def test_pages_are_found_by_their_title(console):
    assert links(console, "token") == ["/admin/access/apitoken/"]


def test_one_find_is_gone_to_and_several_are_listed(console):
    job = submit_echo(1)
    gone = console.get(f"{PAGE}job-{job.pk}")
    assert gone["Location"] == f"/admin/jobs/job/job-{job.pk}/"
    Pool.objects.create(name="default-2")
    assert "/admin/jobs/pool/default-2/" in page(console, f"{PAGE}default")
    assert "Nothing is called" in page(console, f"{PAGE}nowhere")


@pytest.mark.parametrize("sought", ["", "%", "_", "a%00b", "x" * 5000, "'--", "-bad-", "%E2%98%83"])
def test_no_text_is_too_strange(console, sought):
    for address in (PALETTE, PAGE):
        answered = console.get(address + sought)
        assert answered.status_code == 200
        assert "/admin/access/" not in links(console, sought)


@pytest.mark.parametrize("query", ["page=abc", "page=999", "extended=1&page=-1"])
def test_a_strange_page_is_no_fault(console, query):
    assert console.get(f"/admin/search/?s=e&{query}").status_code == 200


def test_what_is_sought_is_escaped(console):
    evil = "<script>alert(1)</script>"
    assert evil not in text(console.get("/admin/search/", {"s": evil}))
    assert evil not in text(console.get("/admin/search/", {"s": evil, "extended": "1"}))


def test_only_what_one_may_see_is_found():
    job = submit_echo(1, owner="acme")
    register()
    make_token("acme-ci", "metrics")
    nobody, viewer = staff(), staff("access.view_tenant", name="sue")
    for sought in (f"job-{job.pk}", f"job-{job.pk}-1", "alice", "acme", "default", "enterprise"):
        assert links(nobody, sought) == []
    assert links(viewer, "acme") == ["/admin/access/tenant/acme/"]
    assert links(nobody, "tokens") == []


def test_a_search_scans_no_large_table(console):
    submit_echo(1)
    with CaptureQueriesContext(connection) as asked:
        page(console, f"{PALETTE}acme")
    assert not [one for one in asked if 'from "task"' in one["sql"].lower()]
    assert not [one for one in asked if 'from "job"' in one["sql"].lower()]
