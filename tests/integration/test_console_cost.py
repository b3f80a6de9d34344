"""What the console's pages cost: as many statements for many rows as for one."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from tests.integration.console import operator, page
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def console():
    return operator()


def queries(console, address):
    """How many statements a page takes once everything is warm."""
    cache.clear()
    page(console, address)
    cache.clear()
    with CaptureQueriesContext(connection) as asked:
        page(console, address)
    return len(asked)


def crowd(count):
    """So many more jobs, tenants, workers."""
    for number in range(count):
        submit_echo(1, owner=f"tenant-{number}")
        register()


@pytest.mark.parametrize(
    "address",
    [
        "/admin/",
        "/admin/figures/",
        "/admin/jobs/job/",
        "/admin/jobs/task/",
        "/admin/jobs/task/?status=Queued",
        "/admin/jobs/worker/",
        "/admin/access/tenant/",
        "/admin/jobs/pool/",
        "/admin/jobs/policy/",
        "/admin/jobs/modelendpoint/",
    ],
)
def test_a_list_costs_as_many_statements_with_30_rows_as_with_one(console, address):
    crowd(1)
    with_one = queries(console, address)
    crowd(29)
    assert queries(console, address) == with_one


def test_a_jobs_page_costs_the_same_with_30_tasks_as_with_one(console):
    small, large = submit_echo(1), submit_echo(30)
    hand = register()
    hand.claim(31)
    of = [queries(console, f"/admin/jobs/job/job-{job.pk}/") for job in (small, large)]
    assert of[0] == of[1]


def test_the_list_never_reads_inputs(console):
    submit_echo(1)
    with CaptureQueriesContext(connection) as asked:
        page(console, "/admin/jobs/job/")
    assert not [q for q in asked if '"job"."input"' in q["sql"] or "task_input" in q["sql"]]
    assert Job.objects.exists()
