"""Dead letters over REST: what is listed, grouped and requeued, and how it is refused."""

import json

import pytest

from audit.models import AuditEntry
from jobs import keeper
from jobs.api import operator_shapes
from jobs.models import DeadLetter
from jobs.policies import causes
from jobs.transitions.sql import execute
from tests.integration.burials import buried, names
from tests.integration.gateway import TOKENS, Gateway, checked, problem
from tests.integration.scenario import statuses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

ADDRESS = "/v1/admin/queue/dead-letter"


@pytest.fixture(autouse=True)
def tokens(settings):
    settings.DAEF_API_TOKENS = TOKENS


@pytest.fixture
def olga():
    return Gateway("olga-token")


def listed(gateway, query=""):
    return checked(gateway.get(ADDRESS + query), operator_shapes.DeadLetterList)


def grouped(gateway, query=""):
    answer = gateway.get(f"{ADDRESS}?group_by=cause{query}")
    return checked(answer, operator_shapes.DeadLetterCauseList)


def test_dead_letters_of_all_tenants_are_listed_newest_first(olga):
    one, other = buried(2), buried(1, owner="globex", code="else", message="gone")
    page = listed(olga, "?limit=50")
    listed_names = [item["task"] for item in page["items"]]
    assert (listed_names[0], sorted(listed_names[1:])) == (names(other)[0], names(one, 1, 2))
    moments = [item["buried_at"] for item in page["items"]]
    assert moments == sorted(moments, reverse=True)
    assert (page["total"], page["limit"], page["offset"], page["next"]) == (3, 50, 0, None)
    assert page["items"][0] | {"buried_at": ""} == {
        "task": names(other)[0],
        "job": f"job-{other.pk}",
        "tenant": "globex",
        "name": "r-0",
        "kind": "echo",
        "model": None,
        "error": {"code": "else", "message": "gone"},
        "fingerprint": causes.fingerprint("else", "gone"),
        "generation": 1,
        "attempt": 1,
        "max_attempts": 5,
        "buried_at": "",
    }


def test_each_filter_narrows_the_list(olga):
    one, other = buried(2), buried(1, owner="globex", code="else", message="gone")
    for query in (
        "tenant=globex",
        f"job=job-{other.pk}",
        f"job={other.uid}",
        "error_code=else",
        f"cause={causes.fingerprint('else', 'gone')}",
        "kind=echo&tenant=globex",
    ):
        page = listed(olga, "?" + query)
        assert [item["task"] for item in page["items"]] == names(other), query
        assert page["total"] == 1
    for query in (
        "tenant=nobody",
        "job=job-999999",
        "kind=chat",
        f"job=job-{one.pk}&error_code=else",
    ):
        assert listed(olga, "?" + query)["total"] == 0, query


def test_the_list_is_read_page_by_page(olga):
    buried(3)
    every = [item["task"] for item in listed(olga)["items"]]
    page = listed(olga, "?limit=2")
    assert page["next"] == f"{ADDRESS}?limit=2&offset=2"
    rest = checked(olga.get(page["next"]), operator_shapes.DeadLetterList)
    assert [item["task"] for item in (*page["items"], *rest["items"])] == every


def test_nothing_of_a_tasks_input_is_shown(olga):
    buried(1, message="it broke", labels={"secret": "canary-1"})
    text = json.dumps([listed(olga), grouped(olga)])
    assert "canary" not in text
    assert not {"input", "parameters", "result"} & set(listed(olga)["items"][0])


def test_causes_are_counted_over_jobs_and_tenants(olga):
    first = buried(2, message="took 31 s for 'a.csv'")
    buried(3, owner="globex", message="took 45 s for 'b.csv'")
    last = buried(1, owner="globex", message="took 7 s for 'c.csv'")
    buried(1, code="endpoint_auth", message="The endpoint answered 401.")
    page = grouped(olga)
    assert page["total"] == 2
    cause, other = page["items"]
    moments = {item["job"]: item["buried_at"] for item in listed(olga)["items"]}
    assert cause == {
        "code": "broken",
        "fingerprint": causes.fingerprint("broken", "took 1 s for 'd.csv'"),
        "message": "took # s for …",
        "count": 6,
        "jobs": 3,
        "tenants": [{"tenant": "globex", "count": 4}, {"tenant": "acme", "count": 2}],
        "first": moments[f"job-{first.pk}"],
        "last": moments[f"job-{last.pk}"],
        "advice": causes.DEFAULT_ADVICE,
    }
    assert (other["code"], other["count"]) == ("endpoint_auth", 1)
    assert other["advice"] == causes.ADVICE["endpoint_auth"]


def test_causes_are_narrowed_and_read_page_by_page(olga):
    buried(2)
    buried(1, owner="globex", code="else")
    assert [cause["code"] for cause in grouped(olga, "&tenant=globex")["items"]] == ["else"]
    page = grouped(olga, "&limit=1")
    assert (page["total"], page["next"]) == (2, f"{ADDRESS}?group_by=cause&limit=1&offset=1")
    assert [cause["code"] for cause in grouped(olga, "&limit=1&offset=1")["items"]] == ["else"]
    assert grouped(olga, "&offset=9")["total"] == 2


def test_dead_letters_of_an_older_process_get_their_cause(olga):
    buried(2)
    execute("update dead_letter set fingerprint = ''")
    assert keeper.mark_causes() == 2
    assert keeper.mark_causes() == 0
    assert grouped(olga)["items"][0]["fingerprint"] == causes.fingerprint("broken", "it broke")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?group_by=code", "group_by"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?offset=-1", "offset"),
        ("?status=Queued", "status"),
        ("?tenant=%00", "tenant"),
        ("?job=" + "x" * 64, "job"),
        ("?error_code=", "error_code"),
    ],
)
def test_a_query_that_can_not_be_used_is_refused_by_name(olga, query, field):
    assert problem(olga.get(ADDRESS + query), 400)["errors"][0]["field"] == field


def test_a_requeue_answers_what_it_did(olga):
    job = buried(2)
    response = olga.post(ADDRESS, {"tasks": names(job, 1, 2), "reason": "mended"})
    assert response.status_code == 200
    answer = checked(response, operator_shapes.Requeued)
    assert (answer["requeued"], answer["skipped"]) == (2, [])
    entry = AuditEntry.objects.get(number=answer["audit_id"])
    assert (entry.door, entry.reason, entry.result) == ("rest", "mended", "ok")
    assert entry.request_id == response["X-Request-Id"]
    assert entry.address == "127.0.0.1"


def test_a_dry_run_only_counts(olga):
    job = buried(2)
    answer = checked(
        olga.post(ADDRESS, {"tasks": names(job, 1, 2), "dry_run": True}), operator_shapes.Requeued
    )
    assert (answer["dry_run"], answer["requeued"]) == (True, 2)
    assert set(statuses(job)) == {"DeadLettered"}


def test_a_repeated_request_is_answered_from_memory(olga):
    body = {"tasks": names(buried())}
    first, second = (olga.post(ADDRESS, body, **{"idempotency-key": "k"}) for _ in range(2))
    assert first.content == second.content
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    problem(
        olga.post(ADDRESS, {**body, "dry_run": True}, **{"idempotency-key": "k"}),
        422,
        "idempotency_mismatch",
    )


@pytest.mark.parametrize("header", [None, "wrong", "yes,yes", "yes, no", "ÿes", "yes ", "Ā"])
def test_many_at_once_without_the_right_header_are_428(olga, settings, header):
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = 2
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "yes"
    job = buried(2)
    headers = {} if header is None else {"x-daef-confirm": header}
    response = olga.post(ADDRESS, {"tasks": names(job, 1, 2)}, **headers)
    document = problem(response, 428, "confirmation_required")
    assert "X-DAEF-Confirm" in document["detail"]
    assert "yes" not in document["detail"]
    assert DeadLetter.objects.count() == 2


def test_many_at_once_with_the_header_are_opened(olga, settings):
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = 2
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "yes"
    body = {"tasks": names(buried(2), 1, 2)}
    assert olga.post(ADDRESS, body, **{"x-daef-confirm": "yes"}).status_code == 200


def test_more_than_the_cap_are_400_and_more_than_the_rate_429(olga, settings, calm_minute):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1
    job = buried(4)
    document = problem(olga.post(ADDRESS, {"tasks": names(job, 1, 2, 3)}), 400)
    assert document["errors"][0]["field"] == "tasks"
    assert olga.post(ADDRESS, {"tasks": names(job, 1)}).status_code == 200
    refused = olga.post(ADDRESS, {"tasks": names(job, 2)})
    problem(refused, 429, "rate_limited")
    assert 0 <= int(refused["Retry-After"]) - calm_minute() <= 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tasks"),
        ({"tasks": [], "cause": None}, "tasks"),
        ({"tasks": ["job-1-1"], "cause": "0" * 16}, "tasks"),
        ({"tasks": ["job-1"]}, "tasks[0]"),
        ({"tasks": ["job-1-1\n"]}, "tasks[0]"),
        ({"tasks": ["job-1-1", 7]}, "tasks[1]"),
        ({"tasks": [{"job_id": "job-1"}]}, "tasks[0].task_id"),
        ({"cause": "DROP TABLE"}, "cause"),
        ({"tasks": ["job-1-1"], "dry_run": "yes"}, "dry_run"),
        ({"tasks": ["job-1-1"], "reason": "x" * 501}, "reason"),
        ({"tasks": ["job-1-1"], "force": True}, "force"),
    ],
)
def test_a_body_that_can_not_be_used_is_refused_by_name(olga, body, field):
    assert problem(olga.post(ADDRESS, body), 400)["errors"][0]["field"] == field
    assert not AuditEntry.objects.exists()


def test_names_that_no_task_can_have_are_skipped(olga):
    body = {"tasks": ["job-9999999999999-1", "job-1-9999999"]}
    answer = olga.post(ADDRESS, body).json()
    assert {each["reason"] for each in answer["skipped"]} == {"not_found"}
