"""How tallies add up, without a database."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from jobs.metrics import FAMILIES, RUN_EDGES, ProcessCounts, Tally, add_up, series

NOON = datetime(2026, 3, 1, 12, 0, 59, 999_999, tzinfo=UTC)


def attempts(kind="echo", outcome="Succeeded", code="", waited=1, ran="3", count=1):
    labels = ("1", "0", kind, outcome, code, str(waited), ran)
    return Tally("attempts", labels, (count, 2_000_000, 3_000_000, 10, 5, 700), NOON)


def total(sums, name, **labels):
    return sums.series.get(series(name, labels), 0)


def test_a_kind_that_the_planner_does_not_know_counts_as_other():
    sums = add_up([attempts(kind="echo"), attempts(kind='x"} 1')], {"echo"})
    assert total(sums, "daef_attempts_total", kind="echo", outcome="Succeeded") == 1
    assert total(sums, "daef_attempts_total", kind="other", outcome="Succeeded") == 1
    assert all('x"' not in labels for _, labels in sums.series)


@pytest.mark.parametrize(("reached", "edges"), [(0, 0), (1, 1), (len(RUN_EDGES), len(RUN_EDGES))])
def test_an_observation_is_in_every_bucket_it_fits_into(reached, edges):
    sums = add_up([attempts(ran=str(reached), count=4)], {"echo"})
    name = "daef_task_run_seconds_bucket"
    found = [total(sums, name, kind="echo", le=str(edge)) for edge in RUN_EDGES]
    assert found == [0] * (len(RUN_EDGES) - edges) + [4] * edges
    assert total(sums, name, kind="echo", le="+Inf") == 4


def test_a_minute_is_that_in_which_the_attempt_ended():
    (key,) = add_up([attempts(), attempts()], {"echo"}).minutes
    assert key.minute == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_tally_of_an_unknown_name_is_an_error():
    with pytest.raises(KeyError):
        add_up([Tally("nonsense", (), (1,), NOON)], ())


def test_a_process_tells_counters_and_histograms_of_ours_alone():
    registry = CollectorRegistry()
    Counter("daef_things", "Test.", registry=registry).inc(2)
    Counter("django_http_things", "Test.", registry=registry).inc()
    Counter("python_things", "Test.", registry=registry).inc()
    Gauge("daef_level", "Test.", registry=registry).set(5)
    Histogram("daef_seconds", "Test.", buckets=(1.0,), registry=registry).observe(0.5)
    told = ProcessCounts(registry).untold()
    assert {name for name, _ in told} == {
        "daef_things_total",
        "django_http_things_total",
        "daef_seconds_bucket",
        "daef_seconds_count",
        "daef_seconds_sum",
    }


def test_names_and_help_are_as_prometheus_asks():
    for family in FAMILIES:
        assert family.name.startswith("daef_")
        assert family.name.endswith("_total") == (family.type == "counter")
        assert family.help.endswith(".")
