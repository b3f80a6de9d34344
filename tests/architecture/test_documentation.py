"""The papers tell the truth: what the code has is in them, and what they name is in the code."""

import ast
import importlib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.urls import URLPattern
from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY

from access.actors import ANY_TENANT, METRICS, OPERATOR, WORKER
from access.permissions import SCOPES
from client.cli import parser
from jobs import states
from jobs.api.urls import urlpatterns
from jobs.errors import DaefError, catalogue
from jobs.metrics import BY_DJANGO, FAMILIES
from tests.architecture.source import ROOT, is_ours, parsed, product_files, texts

REFERENCE = ROOT / "docs" / "reference"
STATE_MACHINE = ROOT / "docs" / "architecture" / "state-machine.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TASK_ERRORS = {
    "TransientError",
    "PermanentError",
    "InvalidInputError",
    "RateLimitedError",
    "OverloadedError",
    "BudgetExceededError",
    "TimeoutExceededError",
    "failure",
}
"""What an executor raises; the first argument is the code that users see."""


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its code blocks, where brackets are no links."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def first_column(text: str) -> set[str]:
    """What stands in backticks in the first cell of each table row."""
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)*) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def section(text: str, heading: str) -> str:
    """The part of a page below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"there is no section {heading!r}"
    return found[1]


def requirements() -> set[str]:
    lines = [line for path in ROOT.glob("requirements*.txt") for line in read(path).splitlines()]
    stated = (line.partition("#")[0].strip() for line in lines)
    return {re.split(r"[\[=<>!~; ]", line)[0] for line in stated if line}


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


def variables_read() -> set[str]:
    """Every DAEF_* name that stands alone in a string; NAME_FILE counts as NAME."""
    files = [*product_files(), ROOT / "tests" / "servers.py"]
    found = {
        text for path in files for text in texts(path) if re.fullmatch(r"DAEF_[A-Z0-9_]+", text)
    }
    return {
        name
        for name in found
        if not (name.endswith("_FILE") and name.removesuffix("_FILE") in found)
    }


def variables_documented() -> set[str]:
    names = first_column(read(REFERENCE / "settings.md"))
    return {name.replace("<NAME>", "") for name in names if name.startswith("DAEF_")}


def test_every_variable_that_is_read_is_in_the_settings_page():
    assert variables_read() - variables_documented() == set()


def test_every_variable_in_the_settings_page_is_read():
    assert variables_documented() - variables_read() == set()


def test_every_secret_is_marked_as_one():
    page = read(REFERENCE / "settings.md")
    marked = set(re.findall(r"^\| `(DAEF_[A-Z_]+)` \*secret\*", page, re.MULTILINE))
    settings = ast.walk(parsed(ROOT / "daef_site" / "settings.py"))
    secrets = {
        ast.literal_eval(node.args[0])
        for node in settings
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "env.secret"
    }
    assert secrets <= marked


def test_every_start_up_check_is_in_its_page_and_no_other():
    named = {
        text
        for path in product_files()
        for text in texts(path)
        if re.fullmatch(r"daef\.[EWI]\d+", text)
    }
    listed = set(re.findall(r"^\| `(daef\.\w+)` \|", read(REFERENCE / "start-up-checks.md"), re.M))
    assert listed == named


# ── commands ──────────────────────────────────────────────────────────────────────────────────────


def test_every_make_target_is_in_the_commands_page_and_no_other():
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", read(ROOT / "Makefile"), re.MULTILINE))
    named = first_column(section(read(REFERENCE / "commands.md"), "make"))
    assert {name.removeprefix("make ") for name in named} == targets


def test_every_command_of_manage_py_is_in_the_commands_page_and_no_other():
    files = ROOT.glob("*/management/commands/[a-z]*.py")
    named = first_column(section(read(REFERENCE / "commands.md"), "python manage.py"))
    assert named == {path.stem for path in files}


def test_every_daef_command_is_in_the_commands_page_and_no_other():
    choices = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))
    named = first_column(section(read(REFERENCE / "commands.md"), "daef"))
    assert named == {f"daef {name}" for name in choices}


# ── words ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        (states.TaskStatus, "Task"),
        (states.SkipReason, "Requeue"),
        (states.EdgeKind, "Edges"),
        (states.AttemptOutcome, "Attempt"),
        (states.JobStatus, "Job"),
        (states.Reason, "Reasons"),
        (states.EventKind, "Events"),
        (states.WorkerState, "Worker"),
    ],
)
def test_every_word_for_a_state_is_in_its_table_and_no_other(words: type[StrEnum], heading: str):
    assert first_column(section(read(STATE_MACHINE), heading)) == {word.value for word in words}


def test_the_drawing_of_the_task_has_exactly_the_moves_that_are_allowed():
    drawing = section(read(STATE_MACHINE), "Task")
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", drawing, re.MULTILINE))
    allowed = {
        (start.value, end.value) for start, ends in states.TASK_MOVES.items() for end in ends
    }
    assert drawn == allowed


def test_every_error_code_is_in_the_errors_page_and_no_other():
    classes: list[type[DaefError]] = [DaefError, *catalogue()]
    codes = {error.code for error in classes}
    listed = set(re.findall(r"^\| `(\w+)` \|", read(REFERENCE / "errors.md"), re.MULTILINE))
    assert listed == codes


def test_every_code_that_an_executor_raises_is_in_the_task_errors_page():
    raised = {
        node.args[0].value
        for path in product_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in TASK_ERRORS
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert raised - first_column(read(REFERENCE / "task-errors.md")) == set()


def test_every_scope_is_in_the_scopes_page():
    known = {OPERATOR, METRICS, WORKER, ANY_TENANT, *SCOPES}
    assert known - first_column(read(REFERENCE / "scopes.md")) == set()


# ── metrics ───────────────────────────────────────────────────────────────────────────────────────


def metrics_told() -> set[tuple[str, str, frozenset[str]]]:
    """Name, type and labels of every metric that a gateway tells."""
    Metrics.get_instance()
    collectors: list[Any] = [
        REGISTRY._names_to_collectors[f.name]
        for f in REGISTRY.collect()
        if f.name.startswith(BY_DJANGO)
    ]
    django = {
        (each._name + "_total" * (each._type == "counter"), each._type, frozenset(each._labelnames))
        for each in collectors
    }
    return django | {(each.name, each.type, frozenset(each.labels)) for each in FAMILIES}


def metrics_documented() -> set[tuple[str, str, frozenset[str]]]:
    rows = re.findall(
        r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*) \|",
        read(REFERENCE / "metrics.md"),
        re.MULTILINE,
    )
    return {(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_metric_is_in_the_metrics_page_with_its_type_and_labels_and_no_other():
    assert metrics_documented() == metrics_told()


# ── structure ─────────────────────────────────────────────────────────────────────────────────────


def test_every_table_is_in_the_storage_page():
    ours = [
        model
        for name in ("jobs", "access", "audit")
        for model in apps.get_app_config(name).get_models()
    ]
    named = first_column(read(ROOT / "docs" / "architecture" / "storage.md"))
    assert {model._meta.db_table for model in ours} - named == set()


def test_every_address_of_the_api_is_in_the_openapi_document():
    documented = json.loads(read(REFERENCE / "openapi.json"))["paths"]
    addresses = {
        "/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in urlpatterns
        if isinstance(pattern, URLPattern) and str(pattern.pattern)
    }
    pages_about_the_api = {"/v1/openapi.json", "/v1/docs"}
    assert addresses - pages_about_the_api - set(documented) == set()


def test_every_package_that_is_installed_is_in_the_dependencies_page_and_no_other():
    rows = re.findall(r"^\| ([A-Za-z0-9_-]+) \|", read(REFERENCE / "dependencies.md"), re.MULTILINE)
    assert set(rows) - {"package", "---"} == requirements()


def test_every_import_contract_is_in_the_layers_page():
    contracts = re.findall(r"^\[importlinter:contract:(.+)\]$", read(ROOT / ".importlinter"), re.M)
    named = first_column(read(ROOT / "docs" / "architecture" / "layers.md"))
    assert set(contracts) - named == set()


def test_every_decision_is_in_the_list_of_decisions():
    folder = ROOT / "docs" / "architecture" / "decisions"
    listed = read(folder / "README.md")
    assert [path.name for path in sorted(folder.glob("[0-9]*.md")) if path.name not in listed] == []


def test_every_method_of_the_protocol_is_in_the_proto_page():
    page = read(REFERENCE / "proto-generation.md")
    contracts = (ROOT / "proto" / "daef" / "v1").glob("*.proto")
    methods = [
        name for path in contracts for name in re.findall(r"^  rpc (\w+)\(", read(path), re.M)
    ]
    assert [name for name in methods if f"`{name}`" not in page] == []


def test_every_test_that_the_threat_model_names_is_there():
    page = read(ROOT / "docs" / "architecture" / "threat-model.md")
    named = re.findall(r"`(\w+/test_\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 80
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (path := ROOT / "tests" / file).exists()
        or (name and not re.search(rf"^ *def {name}\(", read(path), re.MULTILINE))
    ]
    assert missing == []


def test_every_kind_of_threat_is_looked_at_where_others_come_in():
    page = read(ROOT / "docs" / "architecture" / "threat-model.md")
    parts = re.split(r"^### (\d)\. .*$", page, flags=re.MULTILINE)
    kinds = {
        number: set(re.findall(r"^\| ([STRIDE]) \|", text, re.MULTILINE))
        for number, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert [number for number in "123" if kinds[number] != set("STRIDE")] == []


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


def pages() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.md")) if is_ours(path)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as repository hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def problem(page: Path, target: str) -> str:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists():
        return f"{page.relative_to(ROOT)}: {target} does not exist"
    if anchor and found.suffix == ".md" and anchor not in anchors(found):
        return f"{page.relative_to(ROOT)}: {target} names no heading"
    return ""


def test_every_relative_link_leads_somewhere():
    problems = [
        problem(page, target)
        for page in pages()
        for target in LINK.findall(prose(read(page)))
        if not re.match(r"[a-z]+:", target)
    ]
    assert list(filter(None, problems)) == []


def test_every_page_can_be_reached_from_the_map():
    reached, todo = set(), [ROOT / "docs" / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(prose(read(page))))
        todo += [(page.parent / t).resolve() for t in targets if t and ":" not in t]
    assert [
        page for page in pages() if (ROOT / "docs") in page.parents and page not in reached
    ] == []


def test_every_module_that_the_papers_name_is_there():
    named = {
        name
        for page in pages()
        for name in re.findall(
            r"`((?:jobs|daef_site|workeragent|access|queueing|client|tests)/[\w/.]+)`", read(page)
        )
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_python_client_of_the_guides_has_what_they_call():
    client = importlib.import_module("client")
    assert {"Client"} <= set(client.__all__)
