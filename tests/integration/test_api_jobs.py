"""Jobs over REST: submit, look, list, steer; each answer in the promised shape."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.api import shapes
from tests.integration.gateway import Gateway, checked, pipeline, problem, rows

pytestmark = pytest.mark.django_db

SEED = (
    '{"type":"chat","input":"Analyze 500 support tickets and produce root causes.",'
    '"policy":"enterprise-default","priority":"interactive"}'
)


@pytest.fixture
def gateway():
    return Gateway()


def test_the_first_line_of_the_readme_works_as_written(gateway):
    response = gateway.post("/v1/jobs", SEED.encode())
    assert response.status_code == 201
    job = checked(response, shapes.Job)
    assert response["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["type"], job["priority"]) == ("chat", "interactive")
    assert job["policy"] == "enterprise-default@1"
    assert gateway.get(f"/v1/jobs/{job['id']}/tasks?status=Queued&limit=10&offset=0").json()[
        "total"
    ]


def test_without_an_agent_the_201_and_the_reason_say_so(gateway):
    job = gateway.submit()
    assert job["live_workers"] == 0
    assert "agent" in job["message"]
    assert gateway.get(f"/v1/jobs/{job['id']}").json()["reason"] in (
        "WaitingForWorkers",
        "NoMatchingWorker",
    )


def test_a_new_job_counts_its_tasks_as_queued(gateway):
    job = checked(gateway.get(f"/v1/jobs/{gateway.submit()['id']}"), shapes.Job)
    assert job["progress"]["total"] == job["progress"]["queued"] == 3
    assert job["progress"]["percent"] == 0


def test_a_new_job_is_answered_as_it_is_found_afterwards(gateway):
    tasks = [{"name": "a", "kind": "echo"}, {"name": "b", "kind": "echo", "needs": ["a"]}]
    limits = {"budget": {"limit_usd": 1}, "deadline_seconds": 60, "labels": {"team": "red"}}
    job = gateway.submit(tasks=tasks, **limits)
    found = gateway.get(f"/v1/jobs/{job['id']}").json()
    passing = ("as_of", "message", "live_workers")
    assert {name: value for name, value in job.items() if name not in passing} == {
        name: value for name, value in found.items() if name not in passing
    }


def test_a_submission_costs_three_statements_and_a_transaction(gateway):
    gateway.submit()
    with CaptureQueriesContext(connection) as asked:
        gateway.submit()
    # Whether a token was ever made, the premises, BEGIN (a savepoint in a test), the job, COMMIT.
    told = [query["sql"] for query in asked if "SAVEPOINT" not in query["sql"]]
    assert len(told) <= 3, told


def test_a_job_is_found_by_its_uid_too(gateway):
    job = gateway.submit()
    assert gateway.get(f"/v1/jobs/{job['uid']}").json()["id"] == job["id"]


def test_times_are_rfc_3339_in_utc(gateway):
    job = gateway.submit()
    for name in ("created_at", "as_of"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job[name])


def test_a_list_pages_newest_first_and_names_the_next_page(gateway):
    ids = [gateway.submit()["id"] for _ in range(3)]
    first = checked(gateway.get("/v1/jobs?limit=2"), shapes.JobList)
    assert [job["id"] for job in first["items"]] == ids[:0:-1]
    assert (first["total"], first["next"]) == (3, "/v1/jobs?limit=2&offset=2")
    last = checked(gateway.get(first["next"]), shapes.JobList)
    assert [job["id"] for job in last["items"]] == ids[:1]
    assert last["next"] is None


def test_a_page_beyond_the_end_is_empty(gateway):
    assert checked(gateway.get("/v1/jobs?offset=1000000000"), shapes.JobList)["items"] == []


def test_jobs_are_filtered_by_each_filter(gateway):
    red = gateway.submit(labels={"team": "red"}, priority="batch")
    gateway.submit(labels={"team": "blue"})
    created = red["created_at"]
    for query, total in (
        ("label=team", 2),
        ("label=team=red", 1),
        ("priority=batch", 1),
        ("type=pipeline", 2),
        ("type=chat", 0),
        ("status=Pending", 2),
        ("status=Failed", 0),
        (f"created_before={created}", 0),
        ("created_after=2020-01-01T00:00:00Z", 2),
        ("tenant=default", 2),
    ):
        assert gateway.get(f"/v1/jobs?{query}").json()["total"] == total, query


def test_a_list_costs_the_same_statements_for_one_job_and_for_thirty(gateway):
    gateway.submit()
    with CaptureQueriesContext(
        connection,
    ) as one:
        gateway.get("/v1/jobs")
    for _ in range(29):
        gateway.submit()
    with CaptureQueriesContext(connection) as thirty:
        assert gateway.get("/v1/jobs").json()["total"] == 30
    # One of them asks whether a token was ever made: no caller of these tests shows any.
    assert len(one) == len(thirty) <= 5


def test_a_task_page_costs_the_same_statements_for_one_task_and_for_thirty(gateway):
    small = gateway.submit(**pipeline("only"))
    large = gateway.submit(**pipeline(*(f"t{n}" for n in range(30))))
    counts = []
    for job in (small, large):
        with CaptureQueriesContext(connection) as queries:
            gateway.get(f"/v1/jobs/{job['id']}/tasks")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


def test_tasks_come_in_order_with_their_parents(gateway):
    tasks = [
        {"name": "a", "kind": "echo", "input": 1},
        {"name": "b", "kind": "echo", "needs": ["a"]},
        {"name": "c", "kind": "echo", "collects": ["a", "b"]},
    ]
    job = gateway.submit(type="pipeline", tasks=tasks)
    listed = checked(gateway.get(f"/v1/jobs/{job['id']}/tasks"), shapes.TaskList)["items"]
    assert [task["name"] for task in listed] == ["a", "b", "c"]
    assert [task["status"] for task in listed] == ["Queued", "Blocked", "Blocked"]
    assert listed[1]["needs"] == [listed[0]["id"]]
    assert listed[2]["collects"] == [listed[0]["id"], listed[1]["id"]]


def test_tasks_are_paged_and_filtered(gateway):
    job = gateway.submit(**pipeline(*(f"t{n}" for n in range(5))))
    address = f"/v1/jobs/{job['id']}/tasks"
    middle = checked(gateway.get(f"{address}?limit=2&offset=2"), shapes.TaskList)
    assert [task["name"] for task in middle["items"]] == ["t2", "t3"]
    assert middle["next"] == f"{address}?limit=2&offset=4"
    assert gateway.get(f"{address}?status=Running").json()["total"] == 0
    assert gateway.get(f"{address}?worker=nobody").json()["items"] == []


def test_an_unknown_task_status_is_answered_with_the_known_ones(gateway):
    job = gateway.submit()
    document = problem(gateway.get(f"/v1/jobs/{job['id']}/tasks?status=Done"), 400)
    for status in ("Blocked", "Queued", "Running", "Succeeded", "DeadLettered", "Cancelled"):
        assert status in document["errors"][0]["message"]


def test_a_task_shows_its_input(gateway):
    job = gateway.submit()
    task = checked(gateway.get(f"/v1/jobs/{job['id']}/tasks/{job['id']}-2"), shapes.TaskDetail)
    assert task["name"] == "b"
    assert task["input"] == {"said": "b"}
    assert task["attempts"] == []


@pytest.mark.parametrize("tail", ["9", "0", "-1", "1048577", "x"])
def test_a_task_that_is_not_there_is_404(gateway, tail):
    job = gateway.submit()
    problem(gateway.get(f"/v1/jobs/{job['id']}/tasks/{job['id']}-{tail}"), 404)


def test_a_task_of_another_job_is_404(gateway):
    first, second = gateway.submit(), gateway.submit()
    problem(gateway.get(f"/v1/jobs/{first['id']}/tasks/{second['id']}-1"), 404)


def test_a_dry_run_plans_and_writes_nothing(gateway):
    response = gateway.post("/v1/jobs?dry_run=true", pipeline("a", "b", tenant="new-tenant"))
    plan = checked(response, shapes.Plan)
    assert plan["tasks"] == 2
    assert response.status_code == 200
    assert rows("job") == rows("tenant") == 0


def test_the_hash_of_a_plan_holds_a_job_to_it(gateway):
    body = pipeline("a", "b")
    plan = gateway.post("/v1/jobs?dry_run=true", body).json()
    assert gateway.post("/v1/jobs", {**body, "plan_hash": plan["plan_hash"]}).status_code == 201
    refused = gateway.post("/v1/jobs", {**pipeline("a"), "plan_hash": plan["plan_hash"]})
    assert problem(refused, refused.status_code)["errors"][0]["field"] == "plan_hash"


@pytest.mark.parametrize("method", ["cancel", "delete"])
def test_a_cancelled_job_ends_and_stays_so(gateway, method):
    job = gateway.submit()
    address = f"/v1/jobs/{job['id']}"
    for _ in range(2):
        response = (
            gateway.delete(address) if method == "delete" else gateway.post(f"{address}/cancel")
        )
        assert checked(response, shapes.Job)["status"] == "Cancelled"


def test_a_suspended_job_can_be_resumed(gateway):
    address = f"/v1/jobs/{gateway.submit()['id']}"
    for _ in range(2):
        assert gateway.post(f"{address}/suspend").json()["status"] == "Suspended"
    for _ in range(2):
        assert gateway.post(f"{address}/resume").json()["status"] == "Pending"


def test_a_job_that_has_ended_cannot_be_suspended(gateway):
    address = f"/v1/jobs/{gateway.submit()['id']}"
    gateway.post(f"{address}/cancel")
    problem(gateway.post(f"{address}/suspend"), 409, "state_conflict")


def test_a_retry_with_nothing_to_retry_reopens_nothing(gateway):
    job = gateway.submit()
    retried = checked(gateway.post(f"/v1/jobs/{job['id']}/retry"), shapes.Retried)
    assert retried["reopened"] == 0


def test_an_explanation_has_a_reason_and_figures(gateway):
    job = gateway.submit()
    told = checked(gateway.get(f"/v1/jobs/{job['id']}/explain"), shapes.Explanation)
    assert told["message"]


def test_policies_are_listed_and_shown(gateway):
    listed = checked(gateway.get("/v1/policies"), shapes.PolicyList)
    assert [policy["name"] for policy in listed["items"]] == ["enterprise-default"]
    checked(gateway.get("/v1/policies/enterprise-default"), shapes.Policy)
    problem(gateway.get("/v1/policies/nope"), 404)


def test_submitting_costs_the_same_statements_for_one_task_and_for_a_thousand(gateway):
    gateway.submit()
    counts = []
    for size in (1, 1000):
        requests = [{"custom_id": f"r{n}", "kind": "echo", "input": n} for n in range(size)]
        with CaptureQueriesContext(connection) as queries:
            assert (
                gateway.post("/v1/jobs", {"type": "batch", "requests": requests}).status_code == 201
            )
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_results_come_as_lines_in_input_order(gateway):
    job = gateway.submit()
    response = gateway.get(f"/v1/jobs/{job['id']}/results")
    lines = [json.loads(line) for line in response.getvalue().splitlines()]
    assert [line["name"] for line in lines] == ["a", "b", "c"]
    assert {line["status"] for line in lines} == {"Queued"}
