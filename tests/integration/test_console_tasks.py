"""The list of all jobs' tasks: each state is found, pages go on, and no page reads the table."""

import re
from html import unescape

import pytest

from jobs.queries import task_pages
from jobs.queries.task_pages import TaskFilter, newest_tasks
from jobs.states import TaskStatus
from tests.integration.burials import buried
from tests.integration.console import operator, page, staff
from tests.integration.scenario import register, submit_echo, submit_pipeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

LIST = "/admin/jobs/task/"


@pytest.fixture
def console():
    return operator()


def plain(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def listed(html):
    return re.findall(r'<a class="b nw" href="[^"]+">(job-\d+-\d+)</a>', html)


def one_of_each():
    """A task in each state but cancelled, by state."""
    dead = buried(owner="acme")
    done, hand = submit_echo(1), register()
    hand.succeed(hand.claim(1))
    runs = submit_echo(1)
    hand.claim(1)
    chain = submit_pipeline({"name": "a"}, {"name": "b", "needs": ["a"]})
    return {
        TaskStatus.DEAD_LETTERED: f"job-{dead.pk}-1",
        TaskStatus.SUCCEEDED: f"job-{done.pk}-1",
        TaskStatus.RUNNING: f"job-{runs.pk}-1",
        TaskStatus.QUEUED: f"job-{chain.pk}-1",
        TaskStatus.BLOCKED: f"job-{chain.pk}-2",
    }


def test_tasks_of_every_state_are_found_by_it(console):
    tasks = one_of_each()
    for status, name in tasks.items():
        assert listed(page(console, f"{LIST}?status={status}")) == [name]
    assert sorted(listed(page(console, LIST))) == sorted(tasks.values())


def test_a_task_is_shown_with_tenant_attempts_and_error(console):
    job = buried(owner="acme", code="slow", message="it took too long")
    shown = plain(page(console, LIST))
    assert f"job-{job.pk}-1 acme" in shown
    assert "slow it took too long" in shown
    assert re.search(r"1 of \d", shown)


@pytest.mark.parametrize(
    ("query", "found"),
    [("tenant=acme", 1), ("error_code=slow", 2), ("tenant=acme&error_code=slow", 0)],
)
def test_the_list_is_narrowed(console, query, found):
    buried(owner="acme", code="broken")
    buried(owner="globex", code="slow", count=2)
    assert len(listed(page(console, f"{LIST}?{query}"))) == found


def test_the_list_is_narrowed_to_a_job(console):
    job = submit_echo(2)
    submit_echo(1)
    for written in (f"job-{job.pk}", str(job.pk), str(job.uid)):
        assert listed(page(console, f"{LIST}?job={written}")) == [
            f"job-{job.pk}-2",
            f"job-{job.pk}-1",
        ]
    assert "No task matches" in page(console, f"{LIST}?job=nonsense")


def test_the_name_of_a_task_leads_straight_to_it(console):
    job = submit_echo(1)
    address = f"/admin/jobs/job/job-{job.pk}/tasks/1/"
    assert console.get(LIST, {"job": f" job-{job.pk}-1 "})["Location"] == address
    assert console.get(f"{LIST}job-{job.pk}-1/")["Location"] == address


def test_the_list_goes_on_where_the_page_before_ended(console):
    submit_echo(53)
    first = page(console, LIST)
    older = re.search(r'href="(\?before=\d+)"', first)
    assert older
    both = [*listed(first), *listed(page(console, LIST + older[1]))]
    assert len(set(both)) == 53


def test_a_page_looks_at_a_window_and_says_where_to_go_on(monkeypatch, console):
    job = buried()
    submit_echo(25)
    monkeypatch.setattr(task_pages, "WINDOW", 20)
    shown = page(console, f"{LIST}?error_code=broken")
    assert "None among the 20 newest tasks from here." in plain(shown)
    further = re.search(r'href="(\?[^"]*before=\d+)"', shown)
    assert further
    assert listed(page(console, LIST + unescape(further[1]))) == [f"job-{job.pk}-1"]


def test_what_is_dead_or_runs_is_found_however_many_are_newer(monkeypatch):
    tasks = one_of_each()
    submit_echo(25)
    monkeypatch.setattr(task_pages, "WINDOW", 20)
    for status in (TaskStatus.DEAD_LETTERED, TaskStatus.RUNNING):
        found = newest_tasks(TaskFilter(status=status), before=None, limit=10)
        assert [task["id"] for task in found.items] == [tasks[status]]


@pytest.mark.parametrize(
    "query", ["before=x", "before=" + "9" * 30, "status=None", "tenant=%00", "job=%F0", "before=0"]
)
def test_a_strange_address_is_answered_all_the_same(console, query):
    submit_echo(1)
    assert console.get(f"{LIST}?{query}").status_code == 200


def test_who_may_see_jobs_sees_their_tasks():
    assert staff("jobs.view_job").get(LIST).status_code == 200
    assert staff("jobs.view_task", name="sue").get(LIST).status_code == 403
