"""The console's charts: what they draw of an hour, and that nothing in them is markup."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from jobs.admin.charts import ended_chart, round_top, running_chart, sparkline
from jobs.queries.minutes import MINUTES, Hour

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def hour(ended=None, running=None):
    minutes = [START + timedelta(minutes=index) for index in range(MINUTES)]
    blank: list[dict[str, int]] = [{} for _ in minutes]
    for index, counts in (ended or {}).items():
        blank[index] = counts
    return Hour(minutes, blank, running or [None] * MINUTES)


@pytest.mark.parametrize(
    ("value", "top"),
    [(1, 1), (2, 2), (3, 5), (7, 10), (11, 20), (21, 25), (260, 500), (5000, 5000)],
)
def test_the_top_of_an_axis_is_a_round_number_not_below_the_value(value, top):
    assert round_top(value) == top


def test_a_minutes_bar_has_a_part_for_each_outcome_as_high_as_its_count():
    drawn = ended_chart(hour({7: {"Succeeded": 75, "Failed": 25}}))
    heights = dict(re.findall(r'<rect class="(\S+)-p"[^>]* height="([\d.]+)"', drawn))
    assert heights == {"ok": "75.00", "warn": "25.00"}
    assert "<title>03:07: 75 succeeded</title>" in drawn


def test_the_chart_says_in_words_what_it_shows():
    drawn = ended_chart(hour({7: {"Succeeded": 1_500}, 8: {"Lost": 3}}))
    assert 'role="img"' in drawn
    assert "1,503 in all, at most 1,500." in drawn


def test_an_hour_without_anything_is_an_empty_chart():
    assert "<rect" not in ended_chart(hour())
    assert "<polyline" not in running_chart(hour())


def test_minutes_in_which_nobody_looked_are_a_gap_in_the_line():
    running = [4] * 10 + [None] * 5 + [6] * 45
    assert running_chart(hour(running=running)).count("<polyline") == 2


def test_a_minute_between_gaps_is_seen_all_the_same():
    points = re.search(r'points="([^"]+)"', sparkline([None, 3, None]))
    assert points
    first, last = points[1].split()
    assert first != last


def test_a_line_of_nothing_is_no_line():
    assert sparkline([None] * 60) == ""
    assert "polyline" in sparkline([0] * 60)


def test_the_pace_is_the_mean_of_whole_minutes():
    assert hour({58: {"Succeeded": 10}, 57: {"Failed": 5}, 59: {"Succeeded": 900}}).pace == 3


def test_the_failing_share_is_of_late_only():
    shown = hour({2: {"Failed": 100}, 50: {"Succeeded": 6, "Cancelled": 2}, 51: {"Lost": 2}})
    assert shown.failing_share == 0.2
    assert hour({2: {"Failed": 100}}).failing_share is None
