"""Who sees what: every route for every role, and nothing that tells another's job from none."""

import json
import re
from typing import Any

import pytest
from django.urls import get_resolver

from access.permissions import SCOPES
from jobs.api import shapes
from jobs.api.urls import urlpatterns
from tests.integration.gateway import TOKENS, Gateway, checked, pipeline, problem, rows
from tests.integration.minutes import early_in_a_minute
from tests.integration.scenario import register

pytestmark = pytest.mark.django_db

ROLES = {
    "nobody": None,
    "stranger": "wrong-token",
    "owner": "alice-token",
    "other": "bob-token",
    "everyone": "star-token",
    "operator": "olga-token",
    "metrics": "mona-token",
}

# Per route: what nobody, stranger, owner, other, everyone, operator and metrics are answered.
READ = (401, 401, 200, 404, 200, 200, 403)
OWN = (401, 401, 200, 404, 200, 403, 403)
LIST = (401, 401, 200, 200, 200, 200, 403)
OWN_LIST = (401, 401, 200, 200, 200, 403, 403)
PUBLIC = (200,) * 7
NOTHING = (404,) * 7
OPERATORS = (401, 401, 403, 403, 403, 200, 403)

MATRIX = {
    "GET jobs": LIST,
    "POST jobs": (401, 401, 400, 400, 400, 403, 403),
    "GET jobs/<str:job>": READ,
    "DELETE jobs/<str:job>": OWN,
    "GET jobs/<str:job>/tasks": READ,
    "GET jobs/<str:job>/tasks/<str:task>": READ,
    "GET jobs/<str:job>/tasks/<str:task>/artifact": (401, 401, 404, 404, 404, 403, 403),
    "GET jobs/<str:job>/report": OWN,
    "GET jobs/<str:job>/results": OWN,
    "GET jobs/<str:job>/events": READ,
    "GET jobs/<str:job>/explain": READ,
    "POST jobs/<str:job>/cancel": OWN,
    "POST jobs/<str:job>/suspend": OWN,
    "POST jobs/<str:job>/resume": OWN,
    "POST jobs/<str:job>/retry": OWN,
    "GET files": OWN_LIST,
    "POST files": (401, 401, 415, 415, 415, 403, 403),
    "GET files/<str:file>": OWN,
    "DELETE files/<str:file>": (401, 401, 204, 404, 204, 403, 403),
    "GET files/<str:file>/content": OWN,
    "GET policies": LIST,
    "GET policies/<str:name>": LIST,
    "GET admin/queue/dead-letter": OPERATORS,
    "GET admin/audit": OPERATORS,
    "GET admin/workers": OPERATORS,
    "POST admin/workers/<str:worker>/drain": OPERATORS,
    "GET admin/audit/status": OPERATORS,
    "POST admin/queue/dead-letter": (401, 401, 403, 403, 403, 400, 403),
    "GET openapi.json": PUBLIC,
    "GET docs": PUBLIC,
    "GET ": NOTHING,
}


@pytest.fixture(autouse=True)
def tokens(settings):
    settings.DAEF_API_TOKENS = TOKENS


@pytest.fixture
def alices_job():
    return Gateway("alice-token").submit()


def declared_routes():
    patterns: list[Any] = urlpatterns
    for pattern in patterns:
        view = pattern.callback.cls
        methods = [name for name in ("get", "post", "put", "delete") if hasattr(view, name)]
        for method in methods or ["get"]:
            yield f"{method.upper()} {pattern.pattern}", view


def test_every_route_has_a_row_in_the_matrix():
    assert {route for route, _ in declared_routes()} == set(MATRIX)


def test_every_view_names_a_scope():
    for route, view in declared_routes():
        assert view.scope in SCOPES, route


def test_every_v1_address_is_one_of_ours():
    found: list[Any] = [p for p in get_resolver().url_patterns if str(p.pattern) == "v1/"]
    assert [each.url_patterns for each in found] == [urlpatterns]


@pytest.mark.parametrize("route", MATRIX)
@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_answered_by_the_matrix(route, role):
    alice = Gateway("alice-token")
    method, pattern = route.split(" ")
    job = alice.submit(**pipeline("a")) if "<str:job>" in pattern else {"id": ""}
    file = {"id": ""}
    if "<str:file>" in pattern:
        file = alice.post("/v1/files", b"text\nhello\n", content_type="text/csv").json()
    if "resume" in pattern or "retry" in pattern:
        alice.post(f"/v1/jobs/{job['id']}/suspend")
    if "events" in pattern:
        alice.post(f"/v1/jobs/{job['id']}/cancel")
    address = "/v1/" + pattern.replace("<str:job>", job["id"]).replace(
        "<str:task>", job["id"] + "-1"
    ).replace("<str:file>", file["id"]).replace("<str:name>", "enterprise-default").replace(
        "<str:worker>", _worker(pattern)
    )
    caller = Gateway(ROLES[role])
    response = caller.client.generic(
        method, address, b"{}" if method == "POST" else b"", content_type=_type(pattern)
    )
    expected = MATRIX[route][list(ROLES).index(role)]
    assert response.status_code == expected, (route, role, response.content[:300])
    if expected == 401:
        assert response["WWW-Authenticate"].startswith("Bearer")
    if hasattr(response, "streaming_content"):
        response.close()


def _worker(pattern):
    return str(register().worker.pk) if "<str:worker>" in pattern else ""


def _type(pattern):
    return "application/x-ndjson;charset=latin-1" if pattern == "files" else "application/json"


def test_another_tenants_job_answers_like_one_that_never_was(alices_job):
    bob = Gateway("bob-token")
    answers = set()
    for identifier in (alices_job["id"], alices_job["uid"], "job-999999", "nonsense"):
        response = bob.get(f"/v1/jobs/{identifier}")
        problem(response, 404, "not_found")
        body = re.sub(rb'"request_id":"[^"]*"', b"", response.content)
        headers = {k: v for k, v in response.headers.items() if k not in ("X-Request-Id",)}
        answers.add((body, tuple(sorted(headers.items()))))
    assert len(answers) == 1


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
