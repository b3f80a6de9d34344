"""The operator as a process, against a Kubernetes API over HTTP and a real local fabric."""

from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import pytest
import yaml

from tests.acceptance.fabrics import ROOT, wait_until
from tests.kube.operators import (
    Api,
    answers,
    config_map,
    echo_job,
    echo_tasks,
    is_complete,
    jobs_of,
    resource,
    status,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


# ── AIJob ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_runs_to_its_end_and_its_status_says_so(api, operator, fabric):
    api.make(echo_job("echo"))
    wait_until(lambda: is_complete(api, "echo"))
    found = status(api, "AIJob", "echo")
    [job] = jobs_of(fabric, "echo")
    assert (found["jobName"], found["jobUID"]) == (job["id"], job["uid"])
    assert (found["state"], found["completions"], found["percent"]) == ("Succeeded", "3/3", 100)
    assert api.condition("AIJob", "echo", "Succeeded")["status"] == "True"
    assert {"JobSubmitted", "JobSucceeded"} <= set(api.events("echo"))
    code, text = operator.probe("/metrics")
    assert code == 200
    assert 'daef_operator_status_writes_total{kind="AIJob"}' in text
    assert operator.probe("/healthz")[0] == operator.probe("/readyz")[0] == 200


@pytest.mark.soak
def test_documents_of_a_config_map_reach_the_fabric(api, operator, fabric):
    api.make(config_map("letters", letters__csv="no,body\n7,one\n8,two\n"))
    reference = {"configMapKeyRef": {"name": "letters", "key": "letters.csv"}}
    columns = {"textColumn": "body", "idColumn": "no"}
    api.make(
        resource("AIJob", "letters", type="Embed", documentsFrom=reference, parameters=columns)
    )
    wait_until(lambda: status(api, "AIJob", "letters").get("jobName"))
    assert jobs_of(fabric, "letters")[0]["documents"] == 2


@pytest.mark.soak
def test_a_job_whose_config_map_is_missing_waits_for_it(api, operator, fabric):
    api.make(echo_job("early", tasks="late"))
    wait_until(
        lambda: api.condition("AIJob", "early", "Accepted").get("reason") == "ReferenceNotFound"
    )
    assert not is_complete(api, "early")
    api.make(echo_tasks("late"))
    wait_until(lambda: is_complete(api, "early"))


def test_a_job_that_the_fabric_refuses_ends_with_the_reason(api, operator, fabric):
    api.make(echo_job("refused", policyName="nobody-knows"))
    wait_until(lambda: is_complete(api, "refused"))
    assert api.condition("AIJob", "refused", "Succeeded")["reason"] == "PolicyNotFound"
    assert "nobody-knows" in api.condition("AIJob", "refused", "Accepted")["message"]
    assert jobs_of(fabric, "refused") == []
    api.delete("AIJob", "refused")
    wait_until(lambda: api.get("AIJob", "refused") is None)


@pytest.mark.soak
def test_a_namespace_works_for_its_tenant_alone(api, operator, fabric):
    api.make(echo_job("foreign", tenantName="acme"))
    wait_until(lambda: is_complete(api, "foreign"))
    assert api.condition("AIJob", "foreign", "Complete")["reason"] == "TenantMismatch"
    assert jobs_of(fabric, "foreign") == []


@pytest.mark.soak
def test_a_job_is_suspended_resumed_and_cancelled_by_its_spec(api, operator, fabric):
    api.make(echo_job("steered", tasks="long"))
    wait_until(lambda: status(api, "AIJob", "steered").get("jobName"))
    api.change("AIJob", "steered", {"spec": {"suspend": True}})
    wait_until(lambda: api.condition("AIJob", "steered", "Suspended").get("status") == "True")
    assert jobs_of(fabric, "steered")[0]["status"] == "Suspended"
    api.change("AIJob", "steered", {"spec": {"suspend": False}})
    wait_until(lambda: api.condition("AIJob", "steered", "Suspended").get("status") == "False")
    api.change("AIJob", "steered", {"spec": {"cancel": True}})
    wait_until(lambda: is_complete(api, "steered"))
    assert api.condition("AIJob", "steered", "Succeeded")["reason"] == "Cancelled"
    [job] = jobs_of(fabric, "steered")
    assert (job["status"], job["progress"]["running"]) == ("Cancelled", 0)


@pytest.mark.soak
def test_a_job_made_suspended_is_submitted_once_it_is_resumed(api, operator, fabric):
    api.make(echo_job("later", suspend=True))
    wait_until(lambda: api.condition("AIJob", "later", "Suspended").get("status") == "True")
    assert jobs_of(fabric, "later") == []
    api.change("AIJob", "later", {"spec": {"suspend": False}})
    wait_until(lambda: is_complete(api, "later"))


def test_deletion_in_the_middle_leaves_nothing_running(api, operator, fabric):
    api.make(echo_job("doomed", tasks="long"))
    wait_until(lambda: status(api, "AIJob", "doomed").get("tasks", {}).get("running"))
    api.delete("AIJob", "doomed")
    wait_until(lambda: api.get("AIJob", "doomed") is None)
    [job] = jobs_of(fabric, "doomed")
    assert (job["status"], job["progress"]["running"]) == ("Cancelled", 0)
    assert "UsageSettled" in api.events("doomed")


@pytest.mark.soak
def test_a_job_is_deleted_when_its_time_is_over(api, operator, fabric):
    api.make(echo_job("short-lived", ttlSecondsAfterFinished=0))
    wait_until(lambda: api.get("AIJob", "short-lived") is None)
    assert jobs_of(fabric, "short-lived")[0]["status"] == "Succeeded"


# ── what is declared ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "collection", "spec", "there"),
    [
        ("TenantQuota", "tenants", {"weight": 200}, {"weight": 200}),
        ("ExecutionPolicy", "policies", {"limitMicros": 2_500_000}, {"limit_usd": 2.5}),
        (
            "ModelEndpoint",
            "endpoints",
            {"backend": "OpenAI", "url": "https://m.example/v1", "models": ["large"]},
            {"base_url": "https://m.example/v1", "enabled": True},
        ),
    ],
)
def test_what_is_declared_is_in_the_fabric(api, operator, fabric, kind, collection, spec, there):
    api.make(resource(kind, "declared", **spec))
    wait_until(lambda: api.condition(kind, "declared", "Ready").get("status") == "True")
    address = f"http://{fabric.http}/v1/admin/{collection}/declared"
    assert there.items() <= httpx.get(address).json()["spec"].items()
    api.delete(kind, "declared")
    wait_until(lambda: api.get(kind, "declared") is None)
    if kind == "ModelEndpoint":
        assert httpx.get(address).json()["spec"]["enabled"] is False


def test_a_pool_gets_a_deployment_of_as_many_agents_as_its_work_asks_for(api, operator, fabric):
    api.make(resource("ExecutionPolicy", "gpu-work", pool="gpu"))
    wait_until(
        lambda: api.condition("ExecutionPolicy", "gpu-work", "Ready").get("status") == "True"
    )
    api.make(echo_job("heavy", tasks="long", policyName="gpu-work"))
    wait_until(lambda: status(api, "AIJob", "heavy").get("jobName"))
    scaling = {"maxReplicas": 3, "scaleDownStabilizationSeconds": 0}
    api.make(resource("AIWorkerPool", "gpu", slots=2, autoscaling=scaling))
    wait_until(lambda: api.get("Deployment", "daef-pool-gpu"))
    wait_until(lambda: status(api, "AIWorkerPool", "gpu").get("queuedTasks") == 8)
    limited = api.condition("AIWorkerPool", "gpu", "ScalingLimited")
    assert (limited["status"], limited["reason"]) == ("True", "TooManyReplicas")
    assert agents_asked_for(api) == 3
    assert {"DeploymentCreated", "Scaled"} <= set(api.events("gpu"))


@pytest.mark.soak
def test_a_pool_shrinks_when_its_work_is_gone(api, operator, fabric):
    api.delete("AIJob", "heavy")
    wait_until(lambda: agents_asked_for(api) == 1)


def agents_asked_for(api: Api) -> int:
    """Replicas of the Deployment of the pool gpu."""
    return int((api.get("Deployment", "daef-pool-gpu") or {})["spec"]["replicas"])


def test_a_pool_in_a_namespace_where_the_operator_has_no_rights_says_so_and_sets_no_limits(
    server, api, operator, fabric
):
    server.faults.forbidden = "closed"
    pool = resource("AIWorkerPool", "closed")
    pool["metadata"]["namespace"] = "closed"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "closed"}}
    api.call("POST", "/api/v1/namespaces", space)
    api.make(pool, "closed")

    def ready() -> dict[str, Any]:
        found = (api.get("AIWorkerPool", "closed", "closed") or {}).get("status", {})
        return next((each for each in found.get("conditions", []) if each["type"] == "Ready"), {})

    wait_until(ready)
    assert (ready()["status"], ready()["reason"]) == ("False", "AgentsMissing")
    assert "daef-operator-namespace" in ready()["message"]
    pools = httpx.get(f"http://{fabric.http}/v1/admin/pools?limit=1000").json()["items"]
    assert "closed" not in [each["name"] for each in pools]
    api.delete("AIWorkerPool", "closed", "closed")
    server.faults.forbidden = ""


# ── faults ────────────────────────────────────────────────────────────────────────────────────────


def test_conflicts_expired_watches_and_repeated_events_change_nothing(faults, api, fabric):
    faults.conflicts, faults.expired_watches, faults.repeat_events = 5, 3, True
    for number in range(5):
        api.make(echo_job(f"rough-{number}"))
    names = [f"rough-{number}" for number in range(5)]
    wait_until(lambda: all(is_complete(api, name) for name in names))
    assert [len(jobs_of(fabric, name)) for name in names] == [1] * 5
    assert faults.conflicts == 0


@pytest.mark.soak
def test_an_api_server_that_is_away_is_waited_for(faults, api, fabric):
    api.make(echo_job("patient"))
    faults.unavailable = 12
    wait_until(lambda: answers(api, "patient"))
    assert len(jobs_of(fabric, "patient")) == 1


@pytest.mark.soak
def test_a_status_is_written_at_most_once_in_two_seconds(faults, server, api):
    api.make(echo_tasks("steps", 12, sleep_ms=900))
    api.make(echo_job("slow", tasks="steps"))
    wait_until(lambda: is_complete(api, "slow"))
    times = [at for at, name, _ in server.objects.status_writes if name == "slow"]
    assert len(times) >= 2
    assert min(later - sooner for sooner, later in pairwise(times)) >= 1.9


# ── operators that die ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jobs", [25, pytest.param(200, marks=pytest.mark.soak)])
def test_so_many_jobs_at_once_are_submitted_once_each_under_operator_kills(own, fabric, jobs):
    server, api, start = own
    operator = start()
    wait_until(operator.leads)
    server.faults.before_status = lambda _: operator.process.kill()
    for number in range(jobs):
        api.make(echo_job(f"many-{number}", tasks="one-task", labels={"test": f"many-{jobs}"}))

    def known() -> int:
        found = {"label": f"test=many-{jobs}", "limit": "1"}
        answer = httpx.get(f"http://{fabric.http}/v1/jobs", params=found)
        return int(answer.json()["total"])

    operator.process.wait(30)
    assert known() > 0
    server.faults.before_status = None
    operator = start()
    for least in (jobs // 2, jobs * 3 // 4) if jobs > 100 else ():
        wait_until(partial(lambda least: known() >= least, least), 60)
        operator.kill()
        operator = start()
    wait_until(
        lambda: all("completionTime" in each.get("status", {}) for each in api.all("AIJob")), 120
    )
    assert known() == jobs
    assert {each["status"]["state"] for each in api.all("AIJob")} == {"Succeeded"}


def test_the_tickets_sample_is_taken_as_it_is(api, operator, fabric):
    path = ROOT / "config" / "samples" / "aijob-tickets.yaml"
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        api.make(document)
    wait_until(lambda: status(api, "AIJob", "tickets").get("jobName"))
    assert jobs_of(fabric, "tickets")[0]["documents"] == 60
    api.delete("AIJob", "tickets")
    wait_until(lambda: api.get("AIJob", "tickets") is None)
