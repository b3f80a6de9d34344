"""What operators declare: objects made, changed, left alone, guarded, refused, on record."""

import json
from typing import Any

import pytest

from access.models import Tenant
from audit.models import AuditEntry
from jobs.api import operator_shapes
from jobs.models import Job, ModelEndpoint, PolicyRevision, Pool
from tests.integration.gateway import TOKENS, Gateway, checked, problem
from tests.integration.overlap import overlapping
from tests.integration.scenario import submit_echo

pytestmark = pytest.mark.django_db

SPECS: dict[str, dict[str, Any]] = {
    "policies": {"pool": "gpu", "limit_usd": 2.5, "max_attempts": 3},
    "endpoints": {
        "backend": "openai",
        "base_url": "https://models.example/v1",
        "model_names": ["large"],
        "key_name": "VLLM",
        "input_price": 100,
    },
    "tenants": {"weight": 200, "max_running_tasks": 5},
    "pools": {"max_running_tasks": 9, "interactive_bound_seconds": 10},
}
SHAPES = {
    "policies": operator_shapes.DeclaredPolicy,
    "endpoints": operator_shapes.DeclaredEndpoint,
    "tenants": operator_shapes.DeclaredTenant,
    "pools": operator_shapes.DeclaredPool,
}
ACTIONS = {
    "policies": "policy_put",
    "endpoints": "endpoint_put",
    "tenants": "tenant_put",
    "pools": "pool_put",
}
every_kind = pytest.mark.parametrize("kind", SPECS)


@pytest.fixture
def olga(settings):
    settings.DAEF_API_TOKENS = TOKENS
    return Gateway("olga-token")


def put(gateway, kind, name, spec, **headers):
    return gateway.client.put(
        f"/v1/admin/{kind}/{name}",
        json.dumps({"spec": spec}).encode(),
        content_type="application/json",
        headers=headers,
    )


def entries():
    return list(AuditEntry.objects.order_by("number").values_list("action", "result", "target"))


@every_kind
def test_an_object_is_made_and_read_as_it_was_declared(olga, kind):
    made = put(olga, kind, "new", SPECS[kind])
    assert made.status_code == 201
    document = checked(made, SHAPES[kind])
    assert document["name"] == "new"
    assert SPECS[kind].items() <= document["spec"].items()
    read = olga.get(f"/v1/admin/{kind}/new")
    assert (read.content, read["ETag"]) == (made.content, made["ETag"])
    listed = olga.get(f"/v1/admin/{kind}?limit=1000").json()
    assert document in listed["items"]
    assert listed["total"] == len(listed["items"])
    assert entries() == [(ACTIONS[kind], "ok", "new")]


@every_kind
def test_the_same_document_again_changes_nothing_and_leaves_no_entry(olga, kind):
    made = put(olga, kind, "new", SPECS[kind])
    again = put(olga, kind, "new", SPECS[kind])
    whole = put(olga, kind, "new", made.json()["spec"])
    assert (again.status_code, whole.status_code) == (200, 200)
    assert made["ETag"] == again["ETag"] == whole["ETag"]
    assert made.json() == again.json() == whole.json()
    assert len(entries()) == 1


@every_kind
def test_a_condition_that_does_not_hold_is_412_and_changes_nothing(olga, kind):
    missing = put(olga, kind, "new", SPECS[kind], **{"if-match": "*"})
    problem(missing, 412, "precondition_failed")
    first = put(olga, kind, "new", SPECS[kind], **{"if-none-match": "*"})
    assert first.status_code == 201
    problem(put(olga, kind, "new", SPECS[kind], **{"if-none-match": "*"}), 412)
    problem(put(olga, kind, "new", SPECS[kind], **{"if-match": '"other"'}), 412)
    tags = f'"other", {first["ETag"]}'
    assert put(olga, kind, "new", SPECS[kind], **{"if-match": tags}).status_code == 200
    assert [entry[1] for entry in entries()] == ["refused", "ok", "refused", "refused"]


def test_another_spec_makes_a_new_revision_and_jobs_keep_theirs(olga):
    job = submit_echo(1)
    changed = put(olga, "policies", "enterprise-default", {"limit_usd": 1.0})
    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    assert str(Job.objects.get(pk=job.pk).policy_revision) == "enterprise-default@1"
    assert str(submit_echo(1).policy_revision) == "enterprise-default@2"
    assert PolicyRevision.objects.count() == 2
    assert AuditEntry.objects.get().details == '{"fields":"limit_usd","revision":2}'


@every_kind
def test_the_reason_and_the_names_of_what_changed_are_on_record(olga, kind):
    def send(spec, **more):
        return olga.client.put(
            f"/v1/admin/{kind}/new",
            json.dumps({"spec": spec, **more}).encode(),
            content_type="application/json",
        )

    first = send(SPECS[kind], reason="OPS-1").json()["spec"]
    changed = next(name for name, value in first.items() if type(value) is int)
    assert send({**first, changed: first[changed] + 1}, reason="OPS-2").status_code == 200
    made, again = AuditEntry.objects.order_by("number")
    assert (made.reason, again.reason) == ("OPS-1", "OPS-2")
    assert "fields" not in json.loads(made.details)
    assert json.loads(again.details)["fields"] == changed
    assert problem(send(first, reason="x" * 501), 400)["errors"][0]["field"] == "reason"


def test_what_is_declared_is_what_the_fabric_goes_by(olga):
    for kind, spec in SPECS.items():
        put(olga, kind, "new", spec)
    assert ModelEndpoint.objects.get(name="new").base_url == "https://models.example/v1"
    assert Tenant.objects.get(name="new").weight == 200
    assert Pool.objects.get(name="new").max_running_tasks == 9
    put(olga, "tenants", "new", {})
    assert (Tenant.objects.get(name="new").weight, Tenant.objects.count()) == (100, 1)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("policies", {"pol": 1}, "spec.pol"),
        ("policies", {"types": ["video"]}, "spec.types"),
        ("policies", {"pool": "A B"}, "spec.pool"),
        ("policies", {"limit_usd": 1e300}, "spec.limit_usd"),
        ("policies", {"max_attempts": 100_000}, "spec.max_attempts"),
        ("endpoints", {"backend": "openai"}, "spec.model_names"),
        ("endpoints", {"backend": "openai", "model_names": ["a"]}, "spec.base_url"),
        (
            "endpoints",
            {"backend": "openai", "model_names": ["a"], "base_url": "https://u:p@h/"},
            "spec.base_url",
        ),
        (
            "endpoints",
            {"backend": "openai", "model_names": ["a"], "base_url": "file:///etc"},
            "spec.base_url",
        ),
        (
            "endpoints",
            {"backend": "embedded", "model_names": ["a"], "base_url": "http://h/"},
            "spec.base_url",
        ),
        (
            "endpoints",
            {"backend": "embedded", "model_names": ["a"], "max_in_flight": 3},
            "spec.max_in_flight",
        ),
        ("tenants", {"weight": 0}, "spec.weight"),
        ("pools", {"batch_bound_seconds": "1 h"}, "spec.batch_bound_seconds"),
    ],
)
def test_a_spec_that_can_not_be_used_is_refused_by_name(olga, kind, spec, field):
    document = problem(put(olga, kind, "new", spec), 400)
    assert document["errors"][0]["field"] == field
    assert "p@h" not in document["detail"]
    problem(olga.get(f"/v1/admin/{kind}/new"), 404)


@every_kind
def test_a_name_or_condition_that_can_not_be_used_is_refused(olga, kind):
    refused = problem(put(olga, kind, "-bad-", SPECS[kind]), 400)
    assert refused["errors"][0]["field"] == "name"
    problem(olga.get(f"/v1/admin/{kind}/-bad-"), 404)
    for header in ({"if-match": "abc"}, {"if-match": "é"}, {"if-none-match": '"x"'}):
        problem(put(olga, kind, "new", SPECS[kind], **header), 400)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_declare_the_same_one_at_once_the_second_sees_the_first(olga):
    told = []
    overlapping(
        lambda: told.append(put(olga, "policies", "new", {"limit_usd": 1.0})),
        lambda: told.append(put(Gateway("olga-token"), "policies", "new", {"limit_usd": 2.0})),
    )
    assert sorted(each.status_code for each in told) == [200, 201]
    assert PolicyRevision.objects.filter(policy__name="new").count() == 2
