"""A job's attempts over time: how many ran at once, and which tasks needed more than one try."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.admin.timeline import POINTS, Scale, running_at_once, said, timeline_context
from jobs.queries.timeline import MOST_ROWS, RUNNING, TaskLine, Timeline, Try

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
STAGES = [{"name": "embed"}, {"name": "report"}]


def context_of(found, stages, *, now) -> dict[str, Any]:
    """What the page draws of a job that has begun."""
    context = timeline_context(found, stages, now=now)
    assert context is not None
    return context


def at(seconds):
    return START + timedelta(seconds=seconds)


def line(*tries, status="Succeeded", number=1, stage=0, sampled=True):
    """A task whose tries are (start, end, outcome, code)."""
    made = [Try(at(t[0]), None if t[1] is None else at(t[1]), *t[2:]) for t in tries]
    return TaskLine(1 << 20 | number, f"job-1-{number}", stage, status, "", sampled, made)


def test_tasks_beside_each_other_are_counted_and_those_after_each_other_are_not():
    scale = Scale(at(0), at(100))
    beside = [line((0, 100, "Succeeded")), line((0, 100, "Succeeded"))]
    after = [line((0, 50, "Succeeded")), line((50, 100, "Succeeded"))]
    assert max(running_at_once(beside, scale, now=at(100), weight=1)) == 2
    assert set(running_at_once(after, scale, now=at(100), weight=1)) == {1}


def test_what_runs_counts_until_now():
    values = running_at_once(
        [line((50, None, RUNNING))], Scale(at(0), at(100)), now=at(100), weight=1
    )
    assert values[0] == 0
    assert values[-1] == 1
    assert len(values) == POINTS


def test_a_moments_attempt_is_seen():
    assert 1 in running_at_once(
        [line((50, 50, "Succeeded"))], Scale(at(0), at(1000)), now=at(1000), weight=1
    )


def test_of_a_sample_each_task_stands_for_as_many_as_were_passed_over():
    found = Timeline([line((0, 9, "Succeeded"))], step=25)
    (row,) = context_of(found, STAGES, now=at(10))["stages"]
    assert (row["most"], row["about"]) == (25, True)


def test_what_was_looked_at_for_its_trouble_is_not_counted_as_a_part_of_the_sample():
    found = Timeline([line((0, 9, "Failed", "x"), sampled=False)], step=25)
    context = context_of(found, STAGES, now=at(10))
    assert context["stages"] == []
    assert len(context["rows"]) == 1


def test_only_tasks_that_did_not_succeed_at_once_have_a_row_the_worst_first():
    found = Timeline(
        [
            line((0, 5, "Succeeded"), number=1),
            line((0, 1, "Failed", "Transient"), (3, 5, "Succeeded"), number=2),
            line((0, 1, "Failed", "broken"), status="DeadLettered", number=3),
            line((0, None, RUNNING), status="Running", number=4),
        ],
        step=1,
    )
    rows = context_of(found, STAGES, now=at(10))["rows"]
    assert [row["number"] for row in rows] == [3, 2]


def test_rows_are_bounded_and_the_rest_is_counted():
    failed = [line((0, 1, "Failed", "x"), number=n) for n in range(1, 31)]
    context = context_of(Timeline(failed, 1), STAGES, now=at(10))
    assert (len(context["rows"]), context["more_rows"]) == (MOST_ROWS, 30 - MOST_ROWS)


def test_before_the_first_attempt_there_is_nothing_to_draw():
    assert timeline_context(Timeline([line()], 1), STAGES, now=at(0)) is None


@pytest.mark.parametrize(
    ("tries", "status", "words"),
    [
        ([(0, 1, "Failed", "Transient"), (2, 3, "Succeeded")], "Succeeded", "Transient, then ok"),
        ([(0, 1, "Lost"), (2, 3, "Lost")], "DeadLettered", "Lost × 2, dead-lettered"),
        ([(0, 1, "Failed", "a"), (2, None, RUNNING)], "Running", "a, runs again"),
        ([(0, 1, "Failed", "a"), (1, 2, "Failed", "b")], "Queued", "a, b, waits for its next try"),
    ],
)
def test_the_end_of_a_row_says_how_the_tries_ended(tries, status, words):
    assert said(line(*tries, status=status)) == words


def test_codes_that_agents_made_up_are_text():
    found = Timeline([line((0, 1, "Failed", "<script>"))], 1)
    (row,) = context_of(found, STAGES, now=at(2))["rows"]
    assert "<script>" not in row["drawing"]
