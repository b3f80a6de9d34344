"""Alerts and dashboard name only what there is, and somebody who is woken up finds what to do."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY

from jobs.metrics import BY_DJANGO, FAMILIES
from tests.architecture.source import ROOT

FOLDER = ROOT / "config" / "prometheus"
RULES, RULE_TESTS = FOLDER / "alerts.yml", FOLDER / "alerts.test.yml"
GUIDE = ROOT / "docs" / "guides" / "monitoring.md"
NAME = re.compile(r"\b(?:daef|django)_\w+")
LABELS = re.compile(r"\b((?:daef|django)_\w+)\{([^}]*)\}")

TOLD_ONCE = re.compile(
    r"(max(?: by \([^)]*\))?\s*\((?:\s*(?:rate|increase|max_over_time)\()?|count\()$"
)


def samples() -> dict[str, set[str]]:
    """Every sample that a scrape tells, with its labels."""
    Metrics.get_instance()
    known = {family.name: (family.type, set(family.labels)) for family in FAMILIES}
    for family in REGISTRY.collect():
        if family.name.startswith(BY_DJANGO):
            collector: Any = REGISTRY._names_to_collectors[family.name]
            name = family.name + "_total" * (family.type == "counter")
            known[name] = (family.type, set(collector._labelnames))
    found = {}
    for name, (kind, labels) in known.items():
        if kind == "histogram":
            found[f"{name}_bucket"] = {*labels, "le"}
            found[f"{name}_count"] = found[f"{name}_sum"] = labels
        else:
            found[name] = labels
    return found


def rules() -> list[tuple[str, str]]:
    """Each alert with its expression."""
    texts = re.split(r"^ +- alert: ", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [
        (text.split("\n", 1)[0], re.split(r"^ +(?:for|labels):", text, flags=re.MULTILINE)[0])
        for text in texts
    ]


def dashboard_expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


EXPRESSIONS = [*(text.split("\n", 1)[1] for _, text in rules()), *dashboard_expressions()]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_only_metrics_and_labels_that_there_are(expression: str):
    known = samples()
    assert set(NAME.findall(expression)) - set(known) == set()
    for name, matchers in LABELS.findall(expression):
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name], name


def test_every_metric_of_ours_is_shown_or_watched():
    used = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    ours = {f.name + "_bucket" * (f.type == "histogram") for f in FAMILIES}
    assert ours - used == set()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_expression_counts_twice_what_two_gateways_tell(expression: str):
    """Every reading of a metric is inside a maximum over whoever told it."""
    for found in NAME.finditer(expression):
        before = expression[: found.start()]
        told = re.search(
            r"(max(?: by \([^)]*\))?\s*\((?:\s*(?:rate|increase|max_over_time)\()?|count\()$",
            before,
        )
        assert told, expression


@pytest.mark.parametrize("alert", [alert for alert, _ in rules()])
def test_every_alert_says_what_to_do(alert: str):
    text = GUIDE.read_text(encoding="utf-8")
    assert re.search(rf"^### {alert}$\n\n\S.{{40}}", text, re.MULTILINE)
    assert f"docs/guides/monitoring.md#{alert.lower()}\n" in RULES.read_text(encoding="utf-8")
    assert f"alertname: {alert}" in RULE_TESTS.read_text(encoding="utf-8")


def test_the_guide_has_no_alert_that_is_not_there():
    headings = set(re.findall(r"^### (\w+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert headings == {alert for alert, _ in rules()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES.name),
        ("test", "rules", RULE_TESTS.name),
        ("check", "config", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_rules(arguments: tuple[str, ...]):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here (apt-get install prometheus)")
    done = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
