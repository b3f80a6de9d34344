"""Whose requests are whose; that every route keeps to it is in `test_access_matrix.py`."""

import json

import pytest

from jobs.api import shapes
from tests.integration.gateway import TOKENS, Gateway, checked, pipeline, problem, rows
from tests.integration.minutes import early_in_a_minute

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tokens(settings):
    settings.DAEF_API_TOKENS = TOKENS


@pytest.fixture
def alices_job():
    return Gateway("alice-token").submit()


def test_a_tenant_lists_its_own_jobs_only(alices_job):
    Gateway("bob-token").submit()
    listed = checked(Gateway("alice-token").get("/v1/jobs"), shapes.JobList)
    assert [job["id"] for job in listed["items"]] == [alices_job["id"]]
    assert Gateway("olga-token").get("/v1/jobs").json()["total"] == 2
    assert Gateway("alice-token").get("/v1/jobs?tenant=beta").json()["total"] == 0


def test_an_operator_sees_a_task_without_its_input_and_result(alices_job):
    address = f"/v1/jobs/{alices_job['id']}/tasks/{alices_job['id']}-1"
    task = checked(Gateway("olga-token").get(address), shapes.TaskDetail)
    assert not {"input", "result", "parameters", "log"} & set(task)


def test_submitting_for_another_tenant_is_403():
    response = Gateway("alice-token").post("/v1/jobs", pipeline("a", tenant="beta"))
    problem(response, 403, "scope_missing")
    assert rows("job") == 0


def test_a_token_with_several_tenants_has_to_say_which():
    both = Gateway("both-token")
    document = problem(both.post("/v1/jobs", pipeline("a")), 400)
    assert document["errors"][0]["field"] == "tenant"
    assert both.submit(**pipeline("a", tenant="beta"))["tenant"] == "beta"


def test_a_token_with_one_tenant_need_not_say_which(alices_job):
    assert alices_job["tenant"] == "alpha"


def test_a_job_cannot_use_another_tenants_file():
    alice = Gateway("alice-token")
    file = alice.post("/v1/files", b'"hello"\n', content_type="application/x-ndjson").json()
    body = {"type": "analyze", "input": "why?", "file_id": file["id"]}
    problem(Gateway("bob-token").post("/v1/jobs", body), 404)
    problem(Gateway("star-token").post("/v1/jobs", {**body, "tenant": "beta"}), 404)
    assert alice.post("/v1/jobs", body).status_code == 201


def test_the_submit_rate_is_per_tenant_and_says_when_to_come_back(settings):
    settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN = 2
    alice = Gateway("alice-token")
    early_in_a_minute()
    answers = [alice.post("/v1/jobs", pipeline("a")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    problem(answers[-1], 429, "rate_limited")
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert Gateway("bob-token").post("/v1/jobs", pipeline("a")).status_code == 201


def test_an_answer_never_shows_the_token():
    response = Gateway("very-secret-token").get("/v1/jobs")
    assert "very-secret" not in json.dumps(response.json())
