"""Reading never crosses from one tenant, job or task to another, whatever lies beside it."""

import json

import pytest

from access.actors import Actor
from access.models import Tenant
from jobs import intake
from jobs.actions.artifacts import write
from jobs.actions.fleet import Share
from jobs.models import Job
from jobs.queries.results import result_lines
from tests.integration.gateway import TOKENS, Gateway, problem
from tests.integration.scenario import (
    Hand,
    register,
    submit_echo,
    submit_pipeline,
    success,
    tenant,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tokens(settings):
    settings.DAEF_API_TOKENS = TOKENS


def three_jobs() -> list[Job]:
    """Of alpha, beta and alpha again, each with two results that name their job."""
    jobs = [submit_echo(2, owner=owner) for owner in ("alpha", "beta", "alpha")]
    hand = register()
    while tasks := hand.claim(6):
        hand.settle(*(success(task, task.id >> 20) for task in tasks))
    return jobs


def with_artifacts() -> tuple[Job, list[str]]:
    """A job of alpha with two tasks whose results are blobs."""
    job = submit_pipeline({"name": "a"}, {"name": "b"}, tenant="alpha")
    Job.objects.update(tenant=tenant("alpha"))
    hand = register()
    return job, [_settled_by_blob(hand, task) for task in hand.claim(2)]


def _settled_by_blob(hand: Hand, task) -> str:
    data = json.dumps(task.name * 100).encode()
    sha256, _ = write(hand.worker.pk, Share(task.id, task.epoch), "application/json", [data])
    hand.settle(success(task)._replace(result=None, result_sha256=sha256))
    return data.decode()


def test_the_results_of_a_job_are_those_of_its_own_tasks():
    for job in three_jobs():
        lines = [json.loads(line) for part in result_lines(job) for line in part.splitlines()]
        assert [line["task"] for line in lines] == [f"job-{job.pk}-1", f"job-{job.pk}-2"]
        assert {line["result"] for line in lines} == {job.pk}


def test_the_artifact_of_a_task_is_its_own_result_and_its_tenants_alone():
    job, texts = with_artifacts()
    for number, text in enumerate(texts, 1):
        address = f"/v1/jobs/job-{job.pk}/tasks/job-{job.pk}-{number}/artifact"
        assert Gateway("star-token").get(address).getvalue().decode() == text
        problem(Gateway("bob-token").get(address), 404)
        problem(Gateway("olga-token").get(address), 403)


def test_a_task_is_found_under_its_own_job_only():
    first, _, third = three_jobs()
    alice = Gateway("alice-token")
    for kind in ("", "/artifact"):
        problem(alice.get(f"/v1/jobs/job-{first.pk}/tasks/job-{third.pk}-1{kind}"), 404)


def test_a_tenant_lists_its_own_files_only():
    alice, bob = Gateway("alice-token"), Gateway("bob-token")
    mine = alice.post("/v1/files", b'"hello"\n', content_type="application/x-ndjson").json()
    bob.post("/v1/files", b'"hello"\n', content_type="application/x-ndjson")
    listed = alice.get("/v1/files").json()
    assert [file["id"] for file in listed["items"]] == [mine["id"]]
    assert listed["total"] == 1
    assert bob.get(f"/v1/files/{mine['id']}/content").status_code == 404
    assert Gateway("star-token").get("/v1/files").json()["total"] == 2


def _planned_for(asked, actor):
    body = {"type": "chat", "input": "hello"} | ({"tenant": asked} if asked else {})
    return intake.preview(json.dumps(body).encode(), actor=actor)["tenant"]


def test_a_plan_is_made_for_the_tenant_who_asked():
    tenant("alpha")
    tenant("beta")
    actor = Actor("bob", frozenset({"tenant:beta"}))
    for asked in (None, "beta"):
        assert _planned_for(asked, actor) == "beta"
    newcomer = Actor("new", frozenset({"tenant:gamma"}))
    assert _planned_for(None, newcomer) == "gamma"
    assert not Tenant.objects.filter(name="gamma").exists()
