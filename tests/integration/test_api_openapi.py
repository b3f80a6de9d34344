"""The OpenAPI document: complete, valid in itself, fresh in the repository, browsable offline."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from jobs.api.schema import openapi_text
from jobs.api.schema_bodies import EXAMPLES
from jobs.api.urls import urlpatterns
from jobs.errors import DaefError, catalogue
from jobs.planner import TAKES
from tests.integration.gateway import Gateway

REFERENCE = Path(settings.BASE_DIR) / "docs" / "reference"


@pytest.fixture(scope="module")
def document():
    return json.loads(openapi_text())


def test_every_endpoint_and_method_is_in_it(document):
    patterns: list[Any] = urlpatterns
    for pattern in patterns:
        operations = getattr(pattern.callback.cls, "operations", {})
        address = "/v1/" + re.sub(r"<str:(\w+)>", r"{\1}", str(pattern.pattern))
        for method in operations:
            assert method in document["paths"][address], address


def test_every_operation_says_what_can_go_wrong(document):
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            assert {"400", "405", "413", "415", "500", "503"} <= set(responses), (address, method)
            for status, answer in responses.items():
                if int(status) >= 400 and address != "/readyz":
                    assert answer["$ref"].startswith("#/components/responses/")
    for answer in document["components"]["responses"].values():
        assert list(answer["content"]) == ["application/problem+json"]


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    for kind, known in document["components"].items():
        assert set(re.findall(rf'#/components/{kind}/([^"]+)"', text)) <= set(known)


def test_the_submit_body_is_described_field_by_field(document):
    schemas = document["components"]["schemas"]
    assert set(schemas["JobRequest"]["discriminator"]["mapping"]) == set(TAKES)
    assert {"input", "documents", "budget", "labels"} <= set(schemas["AnalyzeJob"]["properties"])
    assert {"tasks"} == set(schemas["PipelineJob"]["required"]) - {"type"}
    for name in schemas["JobRequest"]["discriminator"]["mapping"].values():
        assert schemas[name.rpartition("/")[2]]["additionalProperties"] is False


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_every_example_is_taken(example):
    response = Gateway().post("/v1/jobs", example)
    assert response.status_code == 201, response.content


def test_operation_ids_are_unique(document):
    ids = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_the_document_in_the_repository_is_fresh():
    kept = (REFERENCE / "openapi.json").read_text(encoding="utf-8")
    assert kept == openapi_text(), "run: python manage.py write_openapi"


def test_the_error_reference_lists_every_code_with_its_statuses():
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE))
    errors: list[type[DaefError]] = [DaefError, *catalogue()]
    expected = {error.code: str(error.http_status) for error in errors}
    assert listed == expected
    for error in catalogue():
        title = (error.__doc__ or "").strip().splitlines()[0]
        assert title in text


@pytest.mark.django_db
def test_the_schema_is_served_and_can_be_browsed_without_the_internet(settings):
    gateway = Gateway()
    open_door = gateway.get("/v1/openapi.json").json()
    assert "securitySchemes" not in open_door["components"]
    settings.DAEF_API_TOKENS = "t:tenant:*"
    served = gateway.get("/v1/openapi.json").content.decode()
    assert served == (REFERENCE / "openapi.json").read_text(encoding="utf-8")
    page = gateway.get("/v1/docs").content.decode()
    assert "/v1/openapi.json" in page
    assert not re.findall(r'(?:src|href)="https?://', page)


@pytest.mark.django_db
def test_the_schema_is_made_once_for_all_who_ask(monkeypatch):
    first = Gateway().get("/v1/openapi.json").content
    monkeypatch.setattr("jobs.api.docs.openapi_text", lambda **_: "made again")
    assert Gateway().get("/v1/openapi.json").content == first
