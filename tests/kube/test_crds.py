"""The definitions of the five kinds: structural, bounded, told in full, and as the types say."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from kube import crds
from kube.resources import KINDS, Kind
from kube.resources.conditions import ENDS, WAITS
from kube.resources.rest import rest_places
from tests.kube.admission import (
    BASES,
    ROOT,
    Refused,
    Resource,
    Schema,
    compiled,
    load,
)
from tests.kube.bounds import wrong_specs
from tests.kube.samples import (
    CHANGES,
    INVALID,
    SAMPLES,
    USUAL,
    Change,
    Invalid,
    documents_of,
    wrong,
)

RESOURCES = load()
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
OBJECT_WIDE = {"", "apiVersion", "kind", "metadata"}
BODIES = {
    "pools": "PoolSettings",
    "endpoints": "EndpointSettings",
    "policies": "PolicySpec",
    "tenants": "TenantSettings",
}


def resource(kind: Kind) -> Resource:
    return RESOURCES[kind.plural]


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Path and schema of everything that a schema speaks of."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from fields(part, f"{path}.{name}" if path else name)
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from fields(schema[inner], f"{path}[]")


def rules(schema: Schema) -> Iterator[dict[str, str]]:
    for _, part in fields(schema):
        yield from part.get("x-kubernetes-validations", ())


# ── made from the types ───────────────────────────────────────────────────────────────────────────


def test_the_files_are_what_the_types_say():
    stale = [
        str(path) for path, text in crds.files().items() if (ROOT / path).read_text("utf-8") != text
    ]
    assert stale == [], "run python -m kube.crds"


def test_the_check_fails_where_a_file_is_stale_and_writing_mends_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(crds, "ROOT", tmp_path)
    assert crds.main(["--check"]) == 1
    assert "config/crd/bases/daef.io_aijobs.yaml is stale" in capsys.readouterr().err
    assert crds.main([]) == 0
    assert crds.main(["--check"]) == 0


def test_there_is_a_file_for_each_kind_and_no_other():
    assert {path.name for path in BASES.glob("*.yaml")} == {
        f"daef.io_{kind.plural}.yaml" for kind in KINDS
    }


def test_kinds_and_their_short_names_are_what_users_were_promised():
    assert {(kind.name, kind.short, kind.namespaced) for kind in KINDS} == {
        ("AIJob", "aij", True),
        ("AIWorkerPool", "aiwp", True),
        ("ModelEndpoint", "mep", True),
        ("ExecutionPolicy", "xpol", False),
        ("TenantQuota", "tq", False),
    }
    versions = [each.definition["spec"]["versions"] for each in RESOURCES.values()]
    assert {version["name"] for (version,) in versions} == {"v1alpha1"}


# ── structure and bounds ──────────────────────────────────────────────────────────────────────────


@each_kind
def test_every_field_has_a_description(kind: Kind):
    told = [path for path, part in fields(resource(kind).schema) if not part.get("description")]
    assert [path for path in told if path not in OBJECT_WIDE] == []


@each_kind
def test_every_value_is_bounded_and_no_number_is_a_fraction(kind: Kind):
    loose = [
        path
        for path, part in fields(resource(kind).schema)
        if path not in OBJECT_WIDE and not is_bounded(part)
    ]
    assert loose == []


def is_bounded(schema: Schema) -> bool:
    match schema:
        case {"type": "string", "maxLength": int()} | {"type": "boolean"}:
            return True
        case {"type": "integer", "minimum": int(), "maximum": int(), "format": form}:
            return bool(schema["maximum"] <= (2**31 - 1 if form == "int32" else 2**53))
        case {"type": "array", "maxItems": int(), "items": dict()}:
            return True
        case {"type": "object", "properties": dict()}:
            return "additionalProperties" not in schema
        case {"type": "object", "additionalProperties": dict(), "maxProperties": int()}:
            return True
    return False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "array", "items": {"type": "boolean"}},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "integer", "minimum": 0, "maximum": 2**40, "format": "int32"},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ],
)
def test_what_has_no_bound_is_found(schema: Schema):
    assert not is_bounded(schema)


@each_kind
def test_every_list_says_how_its_members_are_merged(kind: Kind):
    for path, part in fields(resource(kind).schema):
        if part.get("type") != "array":
            continue
        assert part["x-kubernetes-list-type"] in {"atomic", "set", "map"}, path
        for key in part.get("x-kubernetes-list-map-keys", ()):
            assert key in part["items"]["required"], path


@each_kind
def test_conditions_are_a_list_with_the_type_as_its_key(kind: Kind):
    conditions = resource(kind).schema["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["maxItems"] >= len(kind.conditions)
    texts = conditions["items"]["properties"]
    for condition in kind.conditions:
        for name, text in [("type", condition.name), *(("reason", r) for r in condition.reasons)]:
            assert re.fullmatch(texts[name]["pattern"], text)
            assert len(text) <= texts[name]["maxLength"]


@each_kind
def test_every_default_is_valid(kind: Kind):
    for path, part in fields(resource(kind).schema):
        if "default" in part and path != "spec":
            validator = resource(kind).validator.evolve(schema=part)
            assert list(validator.iter_errors(part["default"])) == [], path


@each_kind
def test_every_column_and_path_leads_to_a_field(kind: Kind):
    known = {f".{path}" for path, _ in fields(resource(kind).schema)}
    paths = [column.path for column in kind.columns if "?(" not in column.path]
    paths += kind.selectable
    if kind.scale:
        paths += [kind.scale.replicas, kind.scale.status_replicas, kind.scale.selector]
    assert set(paths) - known - {".metadata.creationTimestamp"} == set()
    types = {condition.name for condition in kind.conditions}
    asked = re.findall(r"@\.type=='(\w+)'", json.dumps([column.path for column in kind.columns]))
    assert set(asked) <= types


@each_kind
def test_the_status_is_apart_and_the_kind_has_a_short_name_and_its_categories(kind: Kind):
    spec = resource(kind).definition["spec"]
    assert spec["versions"][0]["subresources"]["status"] == {}
    assert spec["names"]["shortNames"] == [kind.short]
    assert {"daef", "all"} <= set(spec["names"]["categories"])


def test_only_a_pool_can_be_scaled():
    scaled = [kind.name for kind in KINDS if "scale" in resource(kind).version["subresources"]]
    assert scaled == ["AIWorkerPool"]


# ── rules ─────────────────────────────────────────────────────────────────────────────────────────


@each_kind
def test_every_rule_is_cel_and_its_message_names_the_field(kind: Kind):
    for path, part in fields(resource(kind).schema):
        for rule in part.get("x-kubernetes-validations", ()):
            assert compiled(rule["rule"])
            assert len(rule["message"]) <= 200
            field = f"{path}{rule.get('fieldPath', '')}".replace("[]", "").lstrip(".")
            assert (field or "metadata.name").rpartition(".")[2] in rule["message"]


def test_every_rule_is_broken_by_an_invalid_sample():
    messages = {rule["message"] for kind in KINDS for rule in rules(resource(kind).schema)}
    samples: list[Invalid | Change] = [*INVALID, *CHANGES]
    expected = [each.message for each in samples if each.message]
    unbroken = [one for one in messages if not any(one.startswith(text) for text in expected)]
    assert unbroken == []


# ── samples ───────────────────────────────────────────────────────────────────────────────────────


def ours(path: Any) -> list[dict[str, Any]]:
    return [each for each in documents_of(path) if each["apiVersion"].startswith("daef.io/")]


def resource_of(document: dict[str, Any]) -> Resource:
    return next(each for each in RESOURCES.values() if each.kind == document["kind"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_admitted_as_it_is(path):
    for document in ours(path):
        found = resource_of(document)
        assert found.unknown(document) == []
        stored = found.admit(document)
        assert found.admit(stored, stored) == stored


def test_there_is_a_sample_of_each_kind_and_a_job_of_each_type():
    documents = [document for path in SAMPLES for document in ours(path)]
    assert {each["kind"] for each in documents} == {kind.name for kind in KINDS}
    types = {each["spec"]["type"] for each in documents if each["kind"] == "AIJob"}
    assert types == {"Chat", "Analyze", "Embed", "Batch", "Pipeline"}


@pytest.mark.parametrize("invalid", INVALID, ids=lambda invalid: invalid.name)
def test_every_invalid_sample_is_refused_for_the_field_that_is_wrong(invalid: Invalid):
    found = resource_of(invalid.document)
    if unknown := found.unknown(invalid.document):
        assert unknown == [invalid.field]
        return
    with pytest.raises(Refused) as refused:
        found.admit(invalid.document)
    causes = refused.value.causes
    assert [each for each in causes if each.field.startswith(invalid.field)], causes
    assert invalid.message in str(refused.value)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_forbidden_change_is_refused_for_its_field(change: Change):
    found = resource_of(change.before)
    stored = found.admit(change.before)
    with pytest.raises(Refused) as refused:
        found.admit(change.after, stored)
    (cause,) = refused.value.causes
    assert cause.field == change.field
    assert change.message in cause.message


@each_kind
def test_what_is_beyond_a_bound_is_refused_for_its_field(kind: Kind):
    found = resource(kind)
    schema = found.schema["properties"]["spec"]
    for field, spec in wrong_specs(schema, USUAL[kind.name]):
        with pytest.raises(Refused) as refused:
            found.admit(wrong(kind, spec))
        causes = refused.value.causes
        assert [each for each in causes if each.field.startswith(field)], (field, causes)


def test_every_field_of_a_job_is_fixed_but_those_that_may_be_changed():
    mutable = {"suspend", "cancel", "ttlSecondsAfterFinished"}
    spec = RESOURCES["aijobs"].schema["properties"]["spec"]
    fixed = {change.field.removeprefix("spec.") for change in CHANGES} - {"cancel"}
    assert fixed == set(spec["properties"]) - mutable


def test_a_job_can_be_suspended_resumed_and_cancelled():
    found = RESOURCES["aijobs"]
    job = {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": "steered"},
        "spec": {"type": "Chat", "input": "Good morning?"},
    }
    stored = found.admit(job)
    for change in ({"suspend": True}, {"suspend": False}, {"cancel": True}):
        stored = found.admit({**stored, "spec": {**stored["spec"], **change}}, stored)
        assert change.items() <= stored["spec"].items()


# ── what the product honours ──────────────────────────────────────────────────────────────────────


@cache
def openapi() -> Any:
    return json.loads((ROOT / "docs/reference/openapi.json").read_text("utf-8"))


def has_place(shapes: list[Any], path: str) -> bool:
    """Whether a body of REST has the field, looked up in the shapes that it may have."""
    first, _, rest = path.partition(".")
    schemas = openapi()["components"]["schemas"]
    for shape in shapes:
        field = shape["properties"].get(first)
        if field is None:
            continue
        if not rest:
            return True
        parts = [field, *field.get("anyOf", ())]
        inner = [schemas[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in parts]
        if has_place([each for each in inner if "properties" in each], rest):
            return True
    return False


def bodies(kind: Kind) -> list[Any]:
    schemas = openapi()["components"]["schemas"]
    jobs = ["ChatJob", "AnalyzeJob", "EmbedJob", "BatchJob", "PipelineJob"]
    return [schemas[name] for name in ([BODIES[kind.collection]] if kind.collection else jobs)]


BY_THE_OPERATOR = {
    "AIJob": {
        *("documentsFrom.configMapKeyRef", "requestsFrom.configMapKeyRef"),
        *("tasksFrom.configMapKeyRef", "suspend", "cancel", "ttlSecondsAfterFinished"),
    },
    "AIWorkerPool": {
        *("replicas", "slots", "autoscaling", "drainSeconds", "image", "tokenSecretRef"),
        *("authorityConfigMapRef", "clientCertificate", "modelKeys", "resources", "nodeSelector"),
        "tolerations",
    },
}
"""Fields that REST does not have: the operator itself does what they say."""


@each_kind
def test_every_field_is_one_of_rest_or_of_the_operator(kind: Kind):
    places = rest_places(kind.spec)
    assert [path for path in places.values() if not has_place(bodies(kind), path)] == []
    mine = BY_THE_OPERATOR.get(kind.name, set())
    spec = resource(kind).schema["properties"]["spec"]
    leaves = {path for path, part in fields(spec) if path and "properties" not in part}
    told = re.compile("|".join(rf"{re.escape(path)}($|\.|\[)" for path in {*mine, *places}))
    assert [path for path in leaves if not told.match(path)] == []


@each_kind
def test_every_field_that_rest_declares_is_one_of_the_kind(kind: Kind):
    """A job's own are those below, but what its sources hold and what namespaces decide."""
    named = {path.partition(".")[0] for path in rest_places(kind.spec).values()}
    elsewhere = set() if kind.collection else {"documents", "requests", "tasks"}
    known = {name for shape in bodies(kind) for name in shape["properties"]}
    assert known - named == elsewhere


def test_the_reasons_of_a_job_are_those_of_the_api():
    reasons = set(openapi()["components"]["schemas"]["Reason"]["enum"])
    assert {*WAITS, *ENDS} == reasons
