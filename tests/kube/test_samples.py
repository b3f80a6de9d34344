"""The samples work with the product, and what the schemas take, REST takes."""

import csv
import io
import json
from typing import Any

import msgspec
import pytest

from jobs.planner.declarations import is_name, parse_declaration
from jobs.planner.job_parameters import check_job_parameters
from jobs.planner.request import parse_job_request
from kube.resources import AI_JOB, KINDS, Kind
from kube.resources.rest import rest_body, rest_places
from tests.kube.admission import ROOT, Resource, Schema, load
from tests.kube.bounds import extremes
from tests.kube.manifests import built
from tests.kube.samples import SAMPLES, USUAL, documents_of
from tests.unit.planning import planned

RESOURCES = load()
JOBS = [path for path in SAMPLES if path.stem.startswith("aijob-")]
DECLARED = [kind for kind in KINDS if kind.collection]
each_declared = pytest.mark.parametrize("kind", DECLARED, ids=lambda kind: kind.name)


def stored(document: dict[str, Any]) -> dict[str, Any]:
    """The object with its defaults."""
    kinds = {resource.kind: resource for resource in RESOURCES.values()}
    return kinds[document["kind"]].admit(document)


def body_of(kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
    """What the operator sends, by the types and the schema's defaults."""
    document = {"kind": kind.name, "metadata": {"name": "tried"}, "spec": spec}
    return rest_body(msgspec.convert(stored(document)["spec"], kind.spec))


def documents(text: str, key: str) -> list[Any]:
    """The documents of a key of a ConfigMap."""
    if key.endswith(".csv"):
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return [{"id": row["id"], "text": row["body"]} for row in rows]
    return [json.loads(line) for line in text.splitlines()]


def work(text: str, key: str) -> Any:
    """The requests or tasks of a key of a ConfigMap."""
    return documents(text, key) if key.endswith(".jsonl") else json.loads(text)


SOURCES = {
    "documentsFrom": ("documents", documents),
    "requestsFrom": ("requests", work),
    "tasksFrom": ("tasks", work),
}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_job_of_the_samples_can_be_planned(path):
    job, *maps = documents_of(path)
    data = {each["metadata"]["name"]: each["data"] for each in maps}
    body = body_of(AI_JOB, job["spec"])
    for source, (name, read) in SOURCES.items():
        if source in job["spec"]:
            reference = job["spec"][source]["configMapKeyRef"]
            text = data[reference["name"]][reference["key"]]
            body[name] = read(text, reference["key"])
    assert planned(body).tasks


def test_the_tickets_of_the_sample_are_the_first_of_the_example():
    job, tickets = documents_of(ROOT / "config/samples/aijob-tickets.yaml")
    assert job["metadata"]["name"] == "tickets"
    given = documents(tickets["data"]["tickets.csv"], "tickets.csv")
    example = (ROOT / "examples/tickets.csv").read_text("utf-8")
    assert len(given) == 60
    assert given == documents(example, "tickets.csv")[:60]


def test_the_kustomization_has_every_sample():
    made = {(each["kind"], each["metadata"]["name"]) for each in built("samples")}
    samples = [document for path in SAMPLES for document in documents_of(path)]
    assert made == {(each["kind"], each["metadata"]["name"]) for each in samples}


def test_a_sample_that_is_applied_again_takes_no_agents_from_a_pool_that_scales():
    samples = [document.get("spec", {}) for path in SAMPLES for document in documents_of(path)]
    scaled = [spec for spec in samples if "autoscaling" in spec]
    assert scaled
    assert [spec for spec in scaled if "replicas" in spec] == []


def test_a_job_is_written_in_the_words_and_units_of_rest():
    spec = {
        "type": "Chat",
        "input": "Good morning?",
        "tenantName": "acme",
        "parameters": {"maxTokens": 60, "temperaturePercent": 70, "groupDocuments": 4},
        "budget": {"limitMicros": 1_500_000},
        "parallelism": 3,
        "documentsFrom": {"configMapKeyRef": {"name": "texts", "key": "texts.csv"}},
        "suspend": True,
    }
    assert body_of(AI_JOB, spec) == {
        "type": "chat",
        "input": "Good morning?",
        "tenant": "acme",
        "policy": "enterprise-default",
        "priority": "standard",
        "parameters": {"max_tokens": 60, "temperature": 0.7, "group_documents": 4},
        "budget": {"limit_usd": 1.5},
        "max_parallelism": 3,
    }


@each_declared
def test_every_declared_sample_is_what_rest_takes(kind: Kind):
    (document,) = documents_of(ROOT / f"config/samples/{kind.name.lower()}.yaml")
    body = body_of(kind, document["spec"])
    declared = parse_declaration(kind.collection, json.dumps({"spec": body}).encode())
    assert msgspec.to_builtins(declared.spec) == {**msgspec.to_builtins(declared.spec), **body}
    assert is_name(kind.collection, document["metadata"]["name"])


@each_declared
def test_the_defaults_are_those_of_rest(kind: Kind):
    required = {"backend": "openai", "model_names": ["small"]} if USUAL[kind.name] else {}
    if required:
        required["base_url"] = USUAL[kind.name]["url"]
    empty = parse_declaration(kind.collection, json.dumps({"spec": required}).encode())
    filled = json.dumps({"spec": body_of(kind, USUAL[kind.name])}).encode()
    assert parse_declaration(kind.collection, filled) == empty


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────


def field_of(resource: Resource, path: str) -> Schema:
    schema: Schema = resource.schema["properties"]["spec"]
    for name in path.split("."):
        schema = schema["properties"][name]
    return schema


def cases(kind: Kind) -> list[tuple[str, Any]]:
    found = load()[kind.plural]
    return [
        (path, value)
        for path in rest_places(kind.spec)
        for value in extremes(field_of(found, path))
    ]


def with_value(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**spec, first: with_value(spec.get(first, {}), rest, value) if rest else value}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [(kind, *case) for kind in DECLARED for case in cases(kind)],
    ids=lambda value: getattr(value, "name", None) or str(value)[:40],
)
def test_rest_takes_the_least_and_the_most_that_a_schema_takes(kind: Kind, path: str, value: Any):
    spec = with_value(USUAL[kind.name], path, value)
    if value == "Embedded":
        spec.pop("url")
    body = body_of(kind, spec)
    assert parse_declaration(kind.collection, json.dumps({"spec": body}).encode())


def types_for(path: str) -> str:
    """A type of job that takes the field."""
    name = path.rpartition(".")[2]
    return "Analyze" if name in {"minimumCauses", "maximumCauses"} else "Chat"


@pytest.mark.parametrize(("path", "value"), cases(AI_JOB), ids=lambda value: str(value)[:40])
def test_the_api_takes_the_least_and_the_most_that_a_job_takes(path: str, value: Any):
    source = {"configMapKeyRef": {"name": "a", "key": "b.csv"}}
    kinds: dict[str, dict[str, Any]] = {
        "Chat": {"input": "x"},
        "Analyze": {"input": "x", "documentsFrom": source},
        "Embed": {"documentsFrom": source},
        "Batch": {"requestsFrom": source},
        "Pipeline": {"tasksFrom": source},
    }
    chosen = value if path == "type" else types_for(path)
    spec = with_value({"type": chosen, **kinds[chosen]}, path, value)
    request = parse_job_request(json.dumps(body_of(AI_JOB, spec)).encode())
    check_job_parameters(request.type, request.parameters)
