"""Every address and method under hostile input: problems, never a 500, and nothing stored."""

import json

import pytest
from django.http import HttpResponseBase

from tests.architecture.source import ROOT
from tests.hostile import bodies
from tests.integration.gateway import Gateway, problem, rows
from tests.integration.scenario import register

pytestmark = pytest.mark.django_db

PATHS = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text())["paths"]
TAKES_JSON = [
    (method, path)
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    if (body := operation.get("requestBody", {})).get("required")
    and "application/json" in body["content"]
]
READS = [path for path, methods in PATHS.items() if "get" in methods and path.startswith("/v1/")]
LISTS = [
    path
    for path in READS
    if "{" not in path
    and any(parameter["name"] == "limit" for parameter in PATHS[path]["get"]["parameters"])
]
WITH_PLACES = [path for path in PATHS if "{" in path]
VERBS = ("get", "post", "put", "patch", "delete", "trace", "brew", "propfind")


def filled(path, value="nothing"):
    """The address with the same word in each of its places."""
    for place in {"job", "task", "file", "name", "worker"}:
        path = path.replace("{" + place + "}", value)
    return path


def send(method, address, body=b"", content_type="application/json", **headers):
    # Django's client leaves out what describes an empty body.
    described = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    return Gateway().client.generic(method.upper(), address, body, headers=headers, **described)


def calm(response: HttpResponseBase):
    """Any answer but a fault: below 500, and a problem document from 400 on."""
    assert response.status_code < 500, getattr(response, "content", b"")[:500]
    if response.status_code >= 400:
        problem(response, response.status_code)
    if response.streaming:
        response.close()
    return response


@pytest.mark.parametrize("body", bodies.ANY_DOOR.values(), ids=bodies.ANY_DOOR.keys())
def test_what_is_no_request_is_refused_at_every_door_that_takes_json(body):
    for method, path in TAKES_JSON:
        response = send(method, filled(path), body)
        assert problem(response, 400)["detail"]
    assert rows("job") == rows("tenant") == 0


@pytest.mark.parametrize("body", bodies.ANY_DOOR.values(), ids=bodies.ANY_DOOR.keys())
def test_what_is_no_request_drains_no_worker_though_a_body_may_be_left_out(body):
    worker = register().worker
    response = send("post", f"/v1/admin/workers/{worker.pk}/drain", body)
    assert response.status_code == (400 if body else 200)
    worker.refresh_from_db()
    assert worker.state == ("Active" if body else "Draining")


@pytest.mark.parametrize("content_type", [
    "", "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded",
    "multipart/form-data", "multipart/form-data; boundary=x", "application/json-patch+json",
    "application/jsonp", "application/json; charset=utf-16",
    'application/json; charset="iso-8859-1"', "application/json; charset=utf-7", "*/*",
    "application/json, text/html", "a" * 10_000, "application/json\x00",
])  # fmt: skip
def test_what_is_not_called_json_is_415_at_every_door_that_takes_json(content_type, settings):
    settings.DAEF_API_TOKENS = "t:tenant:*|operator"
    for method, path in TAKES_JSON:
        response = send(method, filled(path), b"{}", content_type, authorization="Bearer t")
        problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "zstd", "\x00"])
def test_an_encoded_body_is_415_everywhere(encoding):
    for path, methods in PATHS.items():
        if path.startswith("/v1/"):
            for method in methods:
                response = send(method, filled(path), b"{}", **{"content-encoding": encoding})
                problem(response, 415, "unsupported_media_type")


def test_a_method_that_is_not_shown_is_405_and_named_with_those_that_are():
    for path, methods in PATHS.items():
        for verb in set(VERBS) - set(methods):
            response = send(verb, filled(path), b"{}")
            problem(response, 405, "method_not_allowed")
            assert set(methods) <= set(response["Allow"].lower().split(", ")), (verb, path)


def test_options_names_the_methods_and_head_is_get_without_its_body():
    for path, methods in PATHS.items():
        named = set(send("options", filled(path))["Allow"].lower().split(", "))
        assert named - {"head", "options"} == set(methods), path
        if "get" in methods:
            got, head = send("get", filled(path)), send("head", filled(path))
            assert got.status_code == head.status_code, path
            assert b"".join(head) == b""


METHOD_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")


@pytest.mark.parametrize("header", METHOD_OVERRIDES)
def test_a_header_does_not_make_one_method_another(header):
    job = Gateway().submit()
    calm(send("get", f"/v1/jobs/{job['id']}", **{header: "DELETE"}))
    calm(send("post", f"/v1/jobs/{job['id']}/resume?_method=DELETE", b"{}", **{header: "DELETE"}))
    assert Gateway().get(f"/v1/jobs/{job['id']}").json()["status"] == "Pending"


HEADERS = {
    "a range": {"range": "bytes=0-1"},
    "ranges without end": {"range": "bytes=" + ",".join(f"{n}-" for n in range(1000))},
    "a condition": {"if-match": '"x"'},
    "a date": {"if-modified-since": "Wed, 21 Oct 2115 07:28:00 GMT"},
    "a date that is none": {"if-unmodified-since": "yesterday"},
    "a taste for HTML": {"accept": "text/html"},
    "a taste for nothing": {"accept": "application/json;q=0"},
    "a taste that is none": {"accept": ",;q=/*\x00"},
    "a language": {"accept-language": "x" * 5000},
    "cookies": {"cookie": "daef_session=x; csrftoken=" + "y" * 4000},
    "a cookie that is none": {"cookie": '"; \x00=\xff'},
    "a referrer": {"referer": "javascript:alert(1)"},
    "a client's name": {"user-agent": "\x1b[31m" + "a" * 5000},
    "a debugger": {"x-debug": "1", "x-forwarded-prefix": "/../"},
    "another address": {"x-original-url": "/admin/", "x-rewrite-url": "/admin/"},
    "a query by header": {"x-http-query": "select 1"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_headers_that_nobody_asked_for_change_nothing(headers):
    for path in READS:
        usual, other = send("get", filled(path)), calm(send("get", filled(path), **headers))
        assert usual.status_code == other.status_code, path
        assert usual["Content-Type"] == other["Content-Type"], path
        if usual.streaming:
            usual.close()


TOKENS = {
    "no scheme": "t",
    "another scheme": "Basic dDp0",
    "digest": 'Digest username="t"',
    "no token": "Bearer",
    "a blank token": "Bearer  ",
    "two blanks": "Bearer  t",
    "a tab": "Bearer\tt",
    "two tokens": "Bearer t, Bearer t",
    "two in a list": "Bearer t,t",
    "more behind it": "Bearer t x",
    "quotes": 'Bearer "t"',
    "a NUL": "Bearer t\x00",
    "an accent": "Bearer t\xe9",
    "100,000 letters": "Bearer " + "t" * 100_000,
    "nothing": "",
    "a wildcard": "Bearer *",
    "SQL": "Bearer ' or 1=1--",
    "the digest": "Bearer e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8",
    "a longer one": "Bearer tt",
}


@pytest.mark.parametrize("header", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_that_is_none_is_401_everywhere(header, settings):
    settings.DAEF_API_TOKENS = "t:tenant:*|operator|metrics"
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            if operation["security"]:
                response = send(method, filled(path), b"{}", authorization=header)
                problem(response, 401, "unauthenticated")
                assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "apikey", "Authorization"])
def test_a_token_in_the_address_is_401_with_the_way_it_goes(name, settings):
    settings.DAEF_API_TOKENS = "t:tenant:*|operator|metrics"
    for path in READS:
        response = send("get", f"{filled(path)}?{name}=t", authorization="Bearer t")
        assert "header" in problem(response, 401)["detail"]


QUERIES = {
    "an unknown name": "colour=red",
    "no name": "=1",
    "a NUL": "%00=%00",
    "a NUL in a value": "limit=%00",
    "bytes that are no UTF-8": "limit=%ff%fe",
    "half a character": "limit=%ed%a0%80",
    "an escape cut short": "limit=%",
    "an escape that is none": "limit=%zz",
    "a list": "limit[]=1",
    "an operator": "limit[$gt]=1",
    "an object": "__proto__[a]=1",
    "twice": "limit=1&limit=1",
    "a semicolon": "limit=1;offset=1",
    "1,100 parameters": "&".join(f"p{number}=1" for number in range(1100)),
    "a name of 8,000 letters": "a" * 8000 + "=1",
    "9,000 letters": "limit=" + "1" * 9000,
    "a fraction": "limit=1.5",
    "an exponent": "limit=1e3",
    "a negative number": "limit=-1",
    "a sign": "limit=%2B1",
    "blanks": "limit=%201%20",
    "a line feed": "limit=1%0a",
    "2^31": "limit=2147483648",
    "2^63": "offset=9223372036854775808",
    "digits of another script": "limit=%D9%A1",
    "SQL": "offset=0;select%20pg_sleep(10)",
    "a lookup": "tenant__name=x&id__gt=0",
    "a callback": "callback=alert&format=jsonp",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_that_nobody_declared_is_400_at_every_list(query):
    for path in LISTS:
        response = send("get", f"{path}?{query}")
        assert problem(response, 400)["detail"], path


def text_parameters():
    return [
        (path, parameter["name"])
        for path in READS
        for parameter in PATHS[path]["get"]["parameters"]
        if parameter["in"] == "query" and "enum" not in parameter["schema"]
    ]


@pytest.mark.parametrize("text", bodies.TEXTS.values(), ids=bodies.TEXTS.keys())
def test_text_in_any_parameter_is_text_or_refused(text):
    for path, name in text_parameters():
        if len(text) < 5000:
            calm(Gateway().client.get(filled(path, "job-1"), {name: text}))


PLACES = {
    **{name: text for name, text in bodies.TEXTS.items() if len(text) < 5000},
    "zero": "job-0",
    "a leading zero": "job-01",
    "a sign": "job-+1",
    "2^63": "job-9223372036854775808",
    "99 digits": "job-" + "9" * 99,
    "a uid that never was": "00000000-0000-7000-8000-000000000000",
    "a uid in capitals": "01A20FE9-14DF-7A9E-9841-9C45E2D47DAD",
    "a uid in braces": "{01a20fe9-14df-7a9e-9841-9c45e2d47dad}",
    "a wildcard": "*",
    "a dot": "%2e",
    "two dots": "%2e%2e",
    "a slash": "a%2fb",
    "a NUL": "job-1%00",
    "a line feed": "job-1%0a",
    "5,000 letters": "a" * 5000,
    "bytes that are no UTF-8": "%ff%fe",
    "half a character": "%ed%a0%80",
    "a semicolon": "job-1;admin=1",
    "a question": "job-1%3fx=1",
    "nothing but a blank": "%20",
}


@pytest.mark.parametrize("value", PLACES.values(), ids=PLACES.keys())
def test_an_id_that_cannot_be_is_a_problem_at_every_address(value):
    for path in WITH_PLACES:
        for method in PATHS[path]:
            response = send(method, filled(path, value), b"{}")
            assert response.status_code in (400, 404), (method, path, response.content[:300])
            problem(response, response.status_code)


@pytest.mark.parametrize("field", ["input", "policy", "model", "tenant", "file_id", "plan_hash"])
@pytest.mark.parametrize("text", bodies.TEXTS.values(), ids=bodies.TEXTS.keys())
def test_text_in_any_field_of_a_job_is_text_or_refused(field, text):
    response = calm(Gateway().post("/v1/jobs", {"type": "chat", "input": "x", field: text}))
    if field != "input":
        assert response.status_code >= 400
    elif response.status_code == 201:
        job = response.json()["id"]
        for tail in ("", "/report", "/report?format=html", "/report?format=markdown", "/results"):
            calm(Gateway().get(f"/v1/jobs/{job}{tail}"))


@pytest.mark.parametrize("text", bodies.TEXTS.values(), ids=bodies.TEXTS.keys())
def test_text_in_labels_names_and_documents_comes_back_as_it_was(text):
    label, name = text[:63], text[:255]
    body = {
        "type": "pipeline",
        "tasks": [{"name": name, "kind": "echo", "input": {text[:1000]: [text]}}],
        "labels": {label: text[:255]},
    }
    response = calm(Gateway().post("/v1/jobs", body))
    assert response.status_code == 201, response.content
    job = response.json()
    assert job["labels"] == {label: text[:255]}
    task = Gateway().get(f"/v1/jobs/{job['id']}/tasks/{job['id']}-1").json()
    assert task["name"] == name
    assert task["input"] == {text[:1000]: [text]}
    page = Gateway().get(f"/v1/jobs/{job['id']}/report?format=html").content.decode()
    assert "<script>" not in page
    assert "<img src=x" not in page
