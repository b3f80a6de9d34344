"""The definitions on a real kube-apiserver; skipped where KUBEBUILDER_ASSETS names none."""

import json
import os
import time
from typing import Any

import pytest

from kube.resources import API_VERSION, KINDS, Kind
from tests.kube.admission import load
from tests.kube.bounds import wrong_specs
from tests.kube.real_api_server import ASSETS, Cluster
from tests.kube.samples import (
    CHANGES,
    INVALID,
    SAMPLES,
    USUAL,
    Change,
    Invalid,
    documents_of,
    names_of_fields,
    wrong,
)

if not os.environ.get(ASSETS):
    pytest.skip(f"{ASSETS} names no folder with etcd and kube-apiserver", allow_module_level=True)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def definition(cluster: Cluster, kind: Kind) -> Any:
    address = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.crd_name}"
    deadline = time.monotonic() + 30
    while True:
        found = cluster.get(address)
        conditions = {each["type"]: each for each in found["status"].get("conditions", [])}
        if "Established" in conditions or time.monotonic() > deadline:
            return {"conditions": conditions, **found}


@pytest.fixture(scope="module")
def established(cluster: Cluster) -> Cluster:
    """The API server with every definition served."""
    for kind in KINDS:
        definition(cluster, kind)
        found = cluster.kubectl("wait", "--for=condition=Established", f"crd/{kind.crd_name}")
        assert found.returncode == 0, found.stderr
    return cluster


def explained(cluster: Cluster, *arguments: str) -> Any:
    """What kubectl explains: new kinds a moment after they are served."""
    deadline = time.monotonic() + 30
    while True:
        told = cluster.kubectl("explain", *arguments)
        if told.returncode == 0 or time.monotonic() > deadline:
            assert told.returncode == 0, told.stderr
            return told


def apply(cluster: Cluster, document: Any, *options: str) -> Any:
    return cluster.kubectl("apply", "--server-side", *options, "-f", "-", text=json.dumps(document))


@each_kind
def test_every_definition_is_established_and_structural(established: Cluster, kind: Kind):
    conditions = definition(established, kind)["conditions"]
    assert conditions["Established"]["status"] == "True"
    assert conditions["NamesAccepted"]["status"] == "True"
    assert "NonStructuralSchema" not in conditions


@each_kind
def test_every_field_is_explained(established: Cluster, kind: Kind):
    told = explained(established, f"{kind.plural}.spec", "--recursive")
    fields = names_of_fields(kind.spec)
    assert fields
    assert [name for name in fields if name not in told.stdout] == []
    field = explained(established, f"{kind.plural}.spec.{fields[0]}")
    assert "DESCRIPTION" in field.stdout


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_can_be_applied_got_described_and_deleted(established: Cluster, path):
    applied = established.kubectl("apply", "--server-side", "-f", str(path))
    assert applied.returncode == 0, applied.stderr
    assert applied.stderr == ""
    again = established.kubectl("apply", "--server-side", "-f", str(path))
    assert again.returncode == 0, again.stderr
    for document in documents_of(path):
        name = f"{document['kind'].lower()}/{document['metadata']['name']}"
        for command in ("get", "describe"):
            told = established.kubectl(command, name)
            assert told.returncode == 0, told.stderr
            assert document["metadata"]["name"] in told.stdout
    deleted = established.kubectl("delete", "-f", str(path), "--wait=true")
    assert deleted.returncode == 0, deleted.stderr


def test_the_tickets_can_be_applied_as_the_readme_says(established: Cluster):
    """Client-side apply keeps a copy of the object in an annotation of limited size."""
    path = "config/samples/aijob-tickets.yaml"
    applied = established.kubectl("apply", "-f", path)
    assert applied.returncode == 0, applied.stderr
    told = established.kubectl("get", "aij", "tickets", "-o", "wide")
    assert told.stdout.split()[:3] == ["NAME", "TYPE", "STATE"]
    established.kubectl("delete", "-f", path)


@pytest.mark.parametrize("invalid", INVALID, ids=lambda invalid: invalid.name)
def test_every_invalid_sample_is_refused_with_a_message_that_names_the_field(
    established: Cluster, invalid: Invalid
):
    refused = apply(established, invalid.document)
    assert refused.returncode != 0
    assert invalid.field in refused.stderr
    assert invalid.message in refused.stderr


@each_kind
def test_what_is_beyond_a_bound_is_refused_for_its_field(established: Cluster, kind: Kind):
    schema = load()[kind.plural].schema["properties"]["spec"]
    address = f"/apis/{API_VERSION}/{'namespaces/default/' * kind.namespaced}{kind.plural}"
    taken = []
    for field, spec in wrong_specs(schema, USUAL[kind.name]):
        status, answer = established.send("POST", f"{address}?dryRun=All", wrong(kind, spec))
        if status < 400 or field not in answer["message"]:
            taken.append((field, spec, answer.get("message", "")[:300]))
    assert taken == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_stored_as_our_own_admission_says(established: Cluster, path):
    """The API server that the operator's tests have of their own stands on that admission."""
    for document in documents_of(path):
        kinds = [kind for kind in KINDS if kind.name == document["kind"]]
        for kind in kinds:
            address = f"/apis/{API_VERSION}/{'namespaces/default/' * kind.namespaced}{kind.plural}"
            status, answer = established.send("POST", f"{address}?dryRun=All", document)
            assert status == 201, answer
            assert answer["spec"] == load()[kind.plural].admit(document)["spec"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_forbidden_change_is_refused_with_a_message_that_names_the_field(
    established: Cluster, change: Change
):
    made = apply(established, change.before)
    assert made.returncode == 0, made.stderr
    try:
        refused = apply(established, change.after)
        assert refused.returncode != 0
        assert change.field in refused.stderr
        assert change.message in refused.stderr
    finally:
        established.kubectl("delete", "-f", "-", text=json.dumps(change.before))


def test_an_hpa_can_scale_a_pool(established: Cluster):
    pool = {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIWorkerPool",
        "metadata": {"name": "scaled", "namespace": "default"},
        "spec": {"replicas": 1},
    }
    assert apply(established, pool).returncode == 0
    scaled = established.kubectl("scale", "aiwp/scaled", "--replicas", "3")
    assert scaled.returncode == 0, scaled.stderr
    told = established.kubectl("get", "aiwp", "scaled", "-o", "jsonpath={.spec.replicas}")
    assert told.stdout == "3"
    established.kubectl("delete", "aiwp", "scaled")


def test_jobs_are_selected_by_their_fields(established: Cluster):
    job = {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": "selected", "namespace": "default"},
        "spec": {"type": "Chat", "input": "Good morning?", "tenantName": "acme"},
    }
    assert apply(established, job).returncode == 0
    fields = "spec.tenantName=acme,spec.type=Chat,spec.priority=Standard"
    told = established.kubectl("get", "aijobs", "--field-selector", fields, "-o", "name")
    assert told.stdout.split() == ["aijob.daef.io/selected"]
    others = "spec.tenantName=other"
    told = established.kubectl("get", "aijobs", "--field-selector", others, "-o", "name")
    assert told.stdout == ""
    established.kubectl("delete", "aij", "selected")


def test_a_status_is_written_apart_from_the_spec(established: Cluster):
    job = {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": "told", "namespace": "default"},
        "spec": {"type": "Chat", "input": "Good morning?"},
        "status": {"state": "Succeeded"},
    }
    assert apply(established, job).returncode == 0
    told = established.kubectl("get", "aij", "told", "-o", "jsonpath={.status}")
    assert told.stdout == ""
    patched = established.kubectl(
        *("patch", "aij", "told", "--subresource=status", "--type=merge", "-p"),
        json.dumps({"status": {"state": "Running", "completions": "3/9", "costUSD": "0.01"}}),
    )
    assert patched.returncode == 0, patched.stderr
    row = established.kubectl("get", "aij", "told", "--no-headers").stdout.split()
    assert row[:4] == ["told", "Chat", "Running", "3/9"]
    established.kubectl("delete", "aij", "told")
