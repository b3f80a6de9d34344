"""Bad input: each a 4xx problem that names the field and the remedy, and nothing is stored."""

import gzip
import json

import pytest

from tests.integration.gateway import Gateway, pipeline, problem, rows

pytestmark = pytest.mark.django_db


def chat(**more):
    return {"type": "chat", "input": "hello", **more}


def nested(depth):
    return b'{"type":"chat","input":"x","parameters":{"a":' + b"[" * depth + b"]" * depth + b"}}"


BODIES = {
    "empty": b"",
    "blank": b"  \n",
    "not json": b"hello",
    "cut short": b'{"type":"chat"',
    "two documents": b"{}{}",
    "array": b"[]",
    "null": b"null",
    "number": b"1",
    "depth 33": nested(33),
    "depth 5,000": nested(5_000),
    "depth 100,000": nested(100_000),
    "depth of objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "unclosed depth": b"[" * 100_000,
    "NUL in a value": json.dumps(chat(input="a\x00b")).encode(),
    "NUL in a key": json.dumps(chat(labels={"a\x00": "b"})).encode(),
    "NUL in parameters": json.dumps(chat(parameters={"a": "\x00"})).encode(),
    "lone surrogate in a value": b'{"type":"chat","input":"\\ud800"}',
    "lone surrogate in a key": b'{"type":"chat","input":"x","labels":{"\\udc00":"y"}}',
    "huge integer": b'{"type":"chat","input":"x","max_attempts":' + b"9" * 5_000 + b"}",
    "huge integer in parameters": b'{"type":"chat","input":"x","parameters":{"a":'
    + b"9" * 5_000
    + b"}}",
    "beyond 64 bits": b'{"type":"chat","input":"x","max_attempts":9223372036854775808}',
    "NaN": b'{"type":"chat","input":"x","deadline_seconds":NaN}',
    "Infinity": b'{"type":"chat","input":"x","deadline_seconds":Infinity}',
    "1e400": b'{"type":"chat","input":"x","deadline_seconds":1e400}',
    "BOM": b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
    "UTF-16": json.dumps(chat()).encode("utf-16"),
    "invalid UTF-8": b'{"type":"chat","input":"\xff"}',
    "duplicate keys": b'{"type":"chat","type":"batch","input":"x"}',
    "unknown field": json.dumps(chat(polcy="x")).encode(),
    "unknown type": json.dumps({"type": "chatt", "input": "x"}).encode(),
    "no type": b'{"input":"x"}',
    "unknown policy": json.dumps(chat(policy="nope")).encode(),
    "NUL-free nonsense policy": json.dumps(chat(policy="../../etc")).encode(),
    "unknown priority": json.dumps(chat(priority="urgent")).encode(),
    "unknown model": json.dumps(chat(model="gpt-99")).encode(),
    "wrong tenant name": json.dumps(chat(tenant="A B")).encode(),
    "chat without input": b'{"type":"chat"}',
    "empty input": b'{"type":"chat","input":""}',
    "number as input": b'{"type":"chat","input":5}',
    "negative parallelism": json.dumps(chat(max_parallelism=-1)).encode(),
    "zero attempts": json.dumps(chat(max_attempts=0)).encode(),
    "true as a number": json.dumps(chat(max_attempts=True)).encode(),
    "no money": json.dumps(chat(budget={"limit_usd": 0})).encode(),
    "file that is not there": json.dumps(chat(file_id="file-1")).encode(),
    "batch without requests": b'{"type":"batch"}',
    "pipeline without tasks": b'{"type":"pipeline","tasks":[]}',
    "unknown kind": json.dumps(
        {"type": "pipeline", "tasks": [{"name": "a", "kind": "shell"}]}
    ).encode(),
    "test kind where it is off": json.dumps(
        {"type": "pipeline", "tasks": [{"name": "a", "kind": "exit"}]}
    ).encode(),
    "10,001 documents": json.dumps(
        {"type": "analyze", "input": "x", "documents": ["d"] * 10_001}
    ).encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_refused_and_nothing_is_stored(body):
    response = Gateway().client.generic(
        "POST", "/v1/jobs", body, CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body))
    )
    assert 400 <= response.status_code < 500
    document = problem(response, response.status_code)
    assert len(document["detail"]) > 10
    assert rows("job") == rows("task") == 0


def test_a_cycle_is_shown_by_its_names():
    tasks = [
        {"name": "a", "kind": "echo", "needs": ["b"]},
        {"name": "b", "kind": "echo", "needs": ["a"]},
    ]
    document = problem(Gateway().post("/v1/jobs", {"type": "pipeline", "tasks": tasks}), 422)
    assert "a" in document["detail"]
    assert "b" in document["detail"]
    assert rows("job") == 0


def test_an_unknown_field_is_named_with_the_known_ones():
    document = problem(Gateway().post("/v1/jobs", chat(polcy="x")), 400, "invalid_request")
    assert "polcy" in document["detail"] + str(document["errors"])
    assert "policy" in document["detail"] + str(document["errors"])


def test_a_body_of_3_mb_is_413_and_says_where_to_put_it():
    document = problem(Gateway().post("/v1/jobs", b" " * 3_000_000), 413, "body_too_large")
    assert "/v1/files" in document["detail"]


def test_a_gzip_body_is_415():
    response = Gateway().client.post(
        "/v1/jobs",
        gzip.compress(json.dumps(chat()).encode()),
        content_type="application/json",
        headers={"content-encoding": "gzip"},
    )
    assert "uncompressed" in problem(response, 415)["detail"]


def test_a_gzip_body_without_its_header_is_400():
    problem(Gateway().post("/v1/jobs", gzip.compress(b"{}")), 400, "malformed_body")


@pytest.mark.parametrize(
    "content_type", ["application/xml", "application/json; charset=utf-16", "text/csv", "a\x00b"]
)
def test_a_wrong_content_type_is_415_and_names_the_right_one(content_type, settings):
    settings.DAEF_API_TOKENS = "t:tenant:*"
    response = Gateway("t").post("/v1/jobs", chat(), content_type=content_type)
    assert problem(response, 415)["code"] == "unsupported_media_type"


def test_a_missing_content_type_is_refused(settings):
    settings.DAEF_API_TOKENS = "t:tenant:*"
    response = Gateway("t").post("/v1/jobs", chat(), content_type="")
    assert "application/json" in problem(response, 415)["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=99999999999999999999",
        "limit=abc",
        "limit=",
        "limit=1&limit=2",
        "limit=%D9%A3",
        "limit=+5",
        "limit=1_0",
        "offset=-1",
        "offset=1000000001",
        "offset=%00",
        "status=%00",
        "status=Done",
        "status=queued",
        "type=x",
        "priority=0",
        "label=%00",
        "label==",
        "created_after=yesterday",
        "created_after=2026-13-01T00:00:00Z",
        "created_after=0000-01-01T00:00:00Z",
        "colour=red",
        "status=%27%20or%201=1--",
        "&".join(f"p{n}=1" for n in range(500)),
    ],
)
def test_a_bad_query_is_400_and_names_the_parameter(query):
    document = problem(Gateway().get(f"/v1/jobs?{query}"), 400, "invalid_request")
    assert document["errors"][0]["field"]


def test_an_unknown_parameter_is_answered_with_the_known_ones():
    document = problem(Gateway().get("/v1/jobs?colour=red"), 400)
    assert "created_after" in document["errors"][0]["message"]


def test_a_huge_query_string_is_400():
    problem(Gateway().get("/v1/jobs?label=" + "a" * 10_000), 400)


@pytest.mark.parametrize(
    "identifier",
    [
        "job-0",
        "job-01",
        "job--1",
        "job-99999999999999999999",
        "job-8796093022208",
        "job-%00",
        "%00",
        "1",
        "JOB-1",
        "job-1%20",
        "job-%D9%A1",
        "%F0%9F%A6%80",
        "a" * 5_000,
        "%ED%A0%80",
        "00000000-0000-0000-0000-000000000000",
        "%2e%2e%2fadmin",
    ],
)
def test_an_id_that_cannot_be_is_the_same_404(identifier):
    for tail in ("", "/tasks", "/report", "/results", "/events", "/explain", "/tasks/job-1-1"):
        problem(Gateway().get(f"/v1/jobs/{identifier}{tail}"), 404, "not_found")


@pytest.mark.parametrize("address", ["/v1/nothing", "/v1/", "/v1/jobs/", "/v1/policies/%00"])
def test_an_unknown_address_is_a_404_problem(address):
    problem(Gateway().get(address), 404, "not_found")


@pytest.mark.parametrize("method", ["put", "patch", "trace", "delete"])
def test_a_wrong_method_is_405_and_names_the_right_ones(method):
    response = getattr(Gateway().client, method)("/v1/jobs")
    problem(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]


def test_a_foreign_host_is_a_problem_too():
    response = Gateway().client.get("/v1/jobs", headers={"host": "evil.example"})
    assert response.status_code in (400, 401)
    problem(response, response.status_code)


@pytest.mark.parametrize("given", ["a b", "a\r\nb", "x" * 65, "<script>", "é", ""])
def test_an_unsafe_request_id_is_replaced(given):
    response = Gateway().client.get("/v1/jobs", headers={"x-request-id": given})
    assert response["X-Request-Id"] != given
    assert len(response["X-Request-Id"]) == 32


def test_a_safe_request_id_is_kept():
    response = Gateway().client.get("/v1/jobs", headers={"x-request-id": "trace-1.2:3"})
    assert response["X-Request-Id"] == "trace-1.2:3"


@pytest.mark.parametrize("key", ["", "é", "a\x00", "k" * 256])
def test_a_bad_idempotency_key_is_400(key):
    response = Gateway().client.post(
        "/v1/jobs",
        json.dumps(pipeline("a")),
        content_type="application/json",
        headers={"idempotency-key": key},
    )
    document = problem(response, 400)
    assert document["errors"][0]["field"] == "Idempotency-Key"
    assert rows("job") == 0


@pytest.mark.parametrize("given", ["x", "-1", "9" * 30, "1.5", "\u0663"])
def test_a_bad_last_event_id_is_400(given):
    job = Gateway().submit()
    problem(Gateway().get(f"/v1/jobs/{job['id']}/events", **{"last-event-id": given}), 400)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "٣", "1" * 30])
@pytest.mark.parametrize("address", ["/v1/jobs", "/v1/nowhere", "/admin/login/", "/healthz"])
def test_a_length_that_is_no_number_is_refused_everywhere(address, length):
    response = Gateway().client.generic("POST", address, b"{}", CONTENT_LENGTH=length)
    problem(response, 400, "invalid_request")
