"""The drawings on a job's page: its plan and its attempts, at the same cost for every job."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.queries import plan_graph, timeline
from tests.integration.console import operator, page, plain
from tests.integration.scenario import failure, register, submit_echo, submit_pipeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def console():
    return operator()


def address(job):
    return f"/admin/jobs/job/job-{job.pk}/"


def test_the_plan_is_drawn_with_a_link_to_each_task(console):
    job = submit_pipeline({"name": "first"}, {"name": "second", "needs": ["first"]})
    shown = page(console, address(job))
    assert shown.count('<svg class="dag"') == 2
    assert f'<a href="{address(job)}tasks/2/"><g' in shown
    assert "second" in plain(shown)


def test_a_large_plan_is_drawn_by_its_stages(console):
    job = submit_echo(plan_graph.MOST_TASKS + 1)
    shown = plain(page(console, address(job)))
    assert "a box for each stage" in shown
    assert f"× {plan_graph.MOST_TASKS + 1}" in shown


def test_names_in_the_plan_are_escaped(console):
    assert EVIL not in page(console, address(submit_pipeline({"name": EVIL})))


def test_attempts_are_drawn_and_those_that_failed_are_told(console):
    job = submit_echo(3)
    hand = register()
    first, second, third = hand.claim(3)
    hand.settle(failure(first, "permanent", "EndpointAuth"), failure(second, "transient", "Busy"))
    hand.succeed([third])
    shown = plain(page(console, address(job)))
    assert "3 attempts" in shown
    assert "Not at the first try" in shown
    assert f"job-{job.pk}-1 EndpointAuth, dead-lettered" in shown
    assert f"job-{job.pk}-2 Busy, waits for its next try" in shown


def test_before_the_first_attempt_there_is_no_drawing_of_them(console):
    assert "Attempts over time" not in page(console, address(submit_echo(1)))


def test_a_running_task_is_seen_before_its_attempt_has_ended():
    job = submit_echo(2)
    register().claim(1)
    (running,) = [one for one in timeline.timeline(job, total=2).lines if one.tries]
    assert running.tries[0].end is None


def test_of_a_large_job_a_part_is_looked_at_and_all_that_runs_or_is_dead(monkeypatch):
    monkeypatch.setattr(timeline, "SAMPLE", 4)
    job = submit_echo(12)
    hand = register()
    tasks = hand.claim(12)
    hand.succeed(tasks[:9])
    hand.fail(tasks[10:11])
    found = timeline.timeline(Job.objects.get(pk=job.pk), total=12)
    sampled = [line.id & 0xFFFFF for line in found.lines if line.sampled]
    assert (found.step, sampled) == (3, [1, 4, 7, 10])
    assert {line.id & 0xFFFFF for line in found.lines} >= {11, 12}


def test_the_drawings_cost_the_same_for_every_job():
    small, large = submit_pipeline({"name": "a"}), submit_echo(200)
    hand = register(slots=300)
    hand.succeed(hand.claim(201))

    def statements(job):
        with CaptureQueriesContext(connection) as asked:
            plan_graph.plan_parts(job)
            timeline.timeline(job, total=200)
        return len(asked)

    assert statements(small) == statements(large) == 4
