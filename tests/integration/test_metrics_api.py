"""The two addresses of the metrics, and that no label comes from a caller."""

import json
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs import figures
from jobs.actions.figures import add_tallies
from jobs.api.metric_shapes import Metrics
from jobs.metrics import FAMILIES
from jobs.queries.metrics import scrape
from jobs.transitions.sql import execute, fetch
from tests.integration.gateway import TOKENS, Gateway, checked, problem
from tests.integration.scenario import (
    register,
    submit_echo,
    submit_job,
    success,
)
from tests.integration.scrapes import call, samples

GROWING_TABLES = [
    *("job", "job_stage", "task", "task_input", "ready", "delayed", "edge", "budget"),
    *("attempt", "usage_entry", "job_event", "dead_letter", "audit_entry", "minute_stats"),
]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def text():
    """A scrape after a bit of everything."""
    submit_job({"type": "chat", "input": "hello"})
    hand = register()
    (task,) = hand.claim(1)
    hand.settle(success(task)._replace(usage=(call(task),)))
    figures.Teller().tell()
    response = Gateway().get("/v1/metrics/prometheus")
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return response.content.decode()


def test_prometheus_parses_every_promised_metric(text):
    found = {family.name: family for family in text_string_to_metric_families(text)}
    for family in FAMILIES:
        name = family.name.removesuffix("_total")
        assert found[name].type == family.type
        assert found[name].documentation == family.help
        labels = {frozenset(set(s.labels) - {"le"}) for s in found[name].samples}
        assert labels == {frozenset(family.labels)}, name


def test_django_prometheus_figures_are_the_whole_fabrics(text):
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert found["django_http_requests_total_by_method"].type == "counter"
    executed = {s.labels["alias"]: s.value for s in found["django_db_execute"].samples}
    assert executed["default"] > 0


def test_promtool_accepts_the_text(text):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here (apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_json_carries_the_same_figures():
    submit_echo(2)
    hand = register()
    hand.fail(hand.claim(1))
    add_tallies()
    document = checked(Gateway().get("/v1/metrics"), Metrics)
    told = {}
    for metric in document["metrics"]:
        for sample in metric["samples"]:
            labels = sample["labels"]
            if "value" in sample:
                told[metric["name"], json.dumps(labels, sort_keys=True)] = sample["value"]
                continue
            for part in ("count", "sum"):
                told[f"{metric['name']}_{part}", json.dumps(labels, sort_keys=True)] = sample[part]
            for bucket in sample["buckets"]:
                key = json.dumps({**labels, "le": bucket["le"]}, sort_keys=True)
                told[f"{metric['name']}_bucket", key] = bucket["count"]
    expected = samples()
    assert {key: told[key] for key in expected} == expected


def test_metrics_need_their_scope_and_no_other_will_do(settings):
    settings.DAEF_API_TOKENS = f"{TOKENS},metrics-token:metrics"
    for address in ("/v1/metrics", "/v1/metrics/prometheus"):
        assert Gateway("metrics-token").get(address).status_code == 200
        problem(Gateway("olga-token").get(address), 403, "scope_missing")
        problem(Gateway("star-token").get(address), 403, "scope_missing")
        assert Gateway().get(address).status_code == 401


def test_a_scrape_reads_as_many_rows_of_sixty_jobs_as_of_five():
    """Rows and index entries are counted by the database."""
    # Tables this small are read whole by right.
    execute("set local enable_seqscan = off")
    for _ in range(5):
        submit_echo(2)
    hand = register()
    hand.fail(hand.claim(3))
    few = rows_read_by_a_scrape()
    for _ in range(55):
        submit_echo(8)
    hand.fail(hand.claim(3))
    assert rows_read_by_a_scrape() <= few + 10


def rows_read_by_a_scrape():
    """Rows and index entries of everything that grows with work done or waiting."""
    add_tallies()
    # What the planner knows of the tables is what earlier tests left behind, else.
    # It may have to wait for an autovacuum, for longer than a settlement would.
    execute("set local lock_timeout = 0")
    execute("analyze")
    before = rows_read()
    scrape()
    return rows_read() - before


def rows_read():
    return fetch(
        "select sum(pg_stat_get_xact_tuples_returned(c.oid)"
        " + pg_stat_get_xact_tuples_fetched(c.oid))::int "
        "from pg_class c left join pg_index i on i.indexrelid = c.oid "
        "where coalesce(i.indrelid, c.oid)::regclass::text = any(%s)",
        [GROWING_TABLES],
    )[0][0]


def test_unknown_parameters_are_refused_by_name():
    for address in ("/v1/metrics?format=xml", "/v1/metrics/prometheus?name=x"):
        assert problem(Gateway().get(address), 400)["errors"][0]["field"] in {"format", "name"}


def test_no_label_comes_from_what_a_caller_sends(text):
    names = ["BREW", "JOB-12345", "X" * 30]
    for name in names:
        Gateway().client.generic(name, f"/v1/jobs/{name}")
        Gateway().get(f"/nowhere/{name}")
    figures.Teller().tell()
    told = Gateway().get("/v1/metrics/prometheus").content.decode()
    assert [name for name in names if name in told] == []
