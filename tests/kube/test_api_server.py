"""The tests' Kubernetes API is strict where an operator can go wrong."""

import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.operators import OURS, PLURALS, Api, resource
from tests.kube.samples import INVALID, Invalid

QUOTA = f"{OURS}/tenantquotas"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[Api]:
    with ApiServer() as server:
        yield Api(server.url, server.kubeconfig(tmp_path_factory.mktemp("api") / "kubeconfig"))


def refused(call: Any, *given: Any) -> tuple[int, str]:
    """Status and text of the refusal."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(*given)
    return caught.value.code, caught.value.read().decode()


@pytest.mark.parametrize("sample", INVALID, ids=lambda sample: sample.name)
def test_an_invalid_sample_is_refused_by_its_field(api, sample: Invalid):
    plural = PLURALS[sample.document["kind"]]
    inside = "" if plural in ("executionpolicies", "tenantquotas") else "/namespaces/default"
    path = f"{OURS}{inside}/{plural}?fieldValidation=Strict"
    code, text = refused(api.call, "POST", path, sample.document)
    assert code in (400, 422)
    assert sample.field in text


def test_what_the_schema_does_not_know_is_pruned_and_defaults_are_filled_in(api):
    made = api.make(resource("TenantQuota", "pruned", colour="blue"))
    assert made["spec"] == {"weight": 100}
    assert (made["metadata"]["generation"], "status" in made) == (1, False)


def test_a_stale_write_is_a_conflict(api):
    made = api.make(resource("TenantQuota", "stale"))
    api.change("TenantQuota", "stale", {"spec": {"weight": 5}})
    code, _ = refused(api.call, "PUT", f"{QUOTA}/stale", made)
    assert code == 409


def test_status_and_spec_are_written_apart(api):
    made = api.make(resource("TenantQuota", "apart"))
    both = {**made, "spec": {"weight": 7}, "status": {"observedGeneration": 1}}
    written = api.call("PUT", f"{QUOTA}/apart/status", both)
    assert (written["spec"]["weight"], written["status"]) == (100, {"observedGeneration": 1})
    assert written["metadata"]["generation"] == 1
    changed = api.change("TenantQuota", "apart", {"spec": {"weight": 7}, "status": {}})
    assert changed["status"] == {"observedGeneration": 1}
    assert changed["metadata"]["generation"] == 2


def test_a_status_is_checked_by_the_schema_too(api):
    api.make(resource("TenantQuota", "checked"))
    wrong = {"status": {"observedGeneration": "one"}}
    code, text = refused(api.call, "PATCH", f"{QUOTA}/checked/status", wrong, MERGE)
    assert (code, "observedGeneration" in text) == (422, True)


def test_a_finalizer_holds_an_object_until_it_is_taken_off(api):
    api.make(resource("TenantQuota", "held"))
    api.change("TenantQuota", "held", {"metadata": {"finalizers": ["daef.io/test"]}})
    api.delete("TenantQuota", "held")
    held = api.get("TenantQuota", "held")
    assert held is not None
    assert "deletionTimestamp" in held["metadata"]
    api.change("TenantQuota", "held", {"metadata": {"finalizers": []}})
    assert api.get("TenantQuota", "held") is None


def test_what_an_object_owns_goes_with_it(api):
    owner = api.make(resource("AIWorkerPool", "owner"))
    reference = {"uid": owner["metadata"]["uid"], "kind": "AIWorkerPool", "name": "owner"}
    child = {"kind": "Deployment", "metadata": {"name": "child", "ownerReferences": [reference]}}
    api.make(child)
    api.delete("AIWorkerPool", "owner")
    assert api.get("Deployment", "child") is None


def test_the_scale_subresource_writes_replicas_alone(api):
    api.make(resource("AIWorkerPool", "scaled"))
    path = f"{OURS}/namespaces/default/{PLURALS['AIWorkerPool']}/scaled"
    scale = api.call("PATCH", f"{path}/scale", {"spec": {"replicas": 4}}, MERGE)
    assert scale["spec"]["replicas"] == 4
    assert api.call("GET", path)["spec"]["replicas"] == 4


def test_an_immutable_field_is_kept_by_its_rule(api):
    api.make(resource("AIJob", "fixed", type="Chat", input="Why?"))
    code, text = refused(api.change, "AIJob", "fixed", {"spec": {"input": "How?"}})
    assert (code, "spec.input cannot be changed" in text) == (422, True)
