"""Files over REST: in by form or as a body, out as they came, read line by line."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.api import shapes
from jobs.api.files import FilesView
from jobs.models import ArtifactChunk, TaskInput
from tests.integration.gateway import Gateway, checked, problem, rows

pytestmark = pytest.mark.django_db

LINES = b'{"id":"t-1","text":"first"}\n{"text":"second"}\n\n"third"\n'


@pytest.fixture
def gateway():
    return Gateway()


def sent(gateway, content, *, content_type="application/x-ndjson", name="tickets.jsonl"):
    response = gateway.post(f"/v1/files?name={name}", content, content_type=content_type)
    assert response.status_code == 201, response.content
    return checked(response, shapes.File)


def form(gateway, name, content, **fields):
    file = SimpleUploadedFile(name, content, content_type="application/octet-stream")
    return gateway.client.post("/v1/files", {"file": file, **fields})


def test_a_body_comes_back_as_it_went_in(gateway):
    file = sent(gateway, LINES)
    assert file["size_bytes"] == len(LINES)
    content = gateway.get(f"/v1/files/{file['id']}/content")
    assert content.getvalue() == LINES
    assert content["Content-Disposition"].startswith("attachment")


def test_a_form_with_a_file_works_too(gateway):
    response = form(gateway, "tickets.csv", b"text\nhello\n", purpose="documents")
    file = checked(response, shapes.File)
    assert (file["name"], file["media_type"]) == ("tickets.csv", "text/csv")


def test_a_large_file_is_stored_in_chunks_of_256_kib(gateway):
    content = b"".join(b'{"text":"line %d"}\n' % n for n in range(40_000))
    file = sent(gateway, content)
    chunks = ArtifactChunk.objects.filter(sha256=file["sha256"]).order_by("number")
    sizes = [len(chunk.data) for chunk in chunks]
    assert set(sizes[:-1]) == {262_144}
    assert gateway.get(f"/v1/files/{file['id']}/content").getvalue() == content


def test_the_same_content_is_stored_once(gateway):
    first, second = sent(gateway, LINES), sent(gateway, LINES)
    assert first["id"] != second["id"]
    assert rows("artifact") == 1


def test_files_are_listed_and_deleted(gateway):
    file = sent(gateway, LINES)
    assert checked(gateway.get("/v1/files"), shapes.FileList)["total"] == 1
    assert gateway.delete(f"/v1/files/{file['id']}").status_code == 204
    problem(gateway.get(f"/v1/files/{file['id']}"), 404)


def test_a_job_reads_its_documents_from_json_lines(gateway):
    file = sent(gateway, LINES)
    job = gateway.submit(type="embed", file_id=file["id"])
    assert job["documents"] == 3
    stored = " ".join(TaskInput.objects.values_list("input", flat=True))
    for piece in ("t-1", "doc-2", "doc-3", "first", "second", "third"):
        assert piece in stored


def test_a_job_reads_its_documents_from_csv(gateway):
    content = b'ticket,body\nt-1,"a, b"\nt-2,"two\nlines"\n'
    file = sent(gateway, content, content_type="text/csv", name="t.csv")
    columns = {"text_column": "body", "id_column": "ticket"}
    job = gateway.submit(type="embed", file_id=file["id"], parameters=columns)
    assert job["documents"] == 2


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"text":"a"}\n{"text":5}\n', "line 2"),
        (b'{"text":"a"}\nnonsense\n', "line 2"),
        (b'{"text":"a"}\n{"text":"  "}\n', "line 2"),
        (b'{"id":"x","text":"a"}\n{"id":"x","text":"b"}\n', "line 2"),
        (b'{"text":"a","colour":"red"}\n', "line 1"),
        (b'{"text":"\\ud800"}\n', "line 1"),
        (b'{"text":"a\\u0000"}\n', "line 1"),
        (b"[" * 5_000 + b"\n", "line 1"),
        (b"\n\n", "file_id"),
        (b"\xff\xfe\n", "file_id"),
        (b'"a\x00"\n', "file_id"),
        (b'"x"\n' * 10_001, "file_id"),
    ],
)
def test_a_bad_file_is_refused_by_line(gateway, content, place):
    file = sent(gateway, content)
    response = gateway.post("/v1/jobs", {"type": "embed", "file_id": file["id"]})
    document = problem(response, 400)
    assert document["errors"][0]["field"] == place
    assert rows("job") == 0


@pytest.mark.parametrize(
    ("content", "parameters", "field"),
    [
        (b"a,b\n1,2\n", {}, "parameters.text_column"),
        (b"a,b\n1,2\n", {"text_column": "c"}, "parameters.text_column"),
        (b"a,a\n1,2\n", {"text_column": "a"}, "parameters.text_column"),
        (b"a,b\n1,2\n", {"text_column": 5}, "parameters.text_column"),
        (b"text\n1\n", {"id_column": "nr"}, "parameters.id_column"),
        (b"id,text\n1\n", {}, "line 2"),
        (b'text\n"open', {}, "line 2"),
        (b"id,text\n1,a\n1,b\n", {}, "line 3"),
    ],
)
def test_a_bad_csv_is_refused_by_column_or_line(gateway, content, parameters, field):
    file = sent(gateway, content, content_type="text/csv", name="t.csv")
    body = {"type": "embed", "file_id": file["id"], "parameters": parameters}
    assert problem(gateway.post("/v1/jobs", body), 400)["errors"][0]["field"] == field


def test_documents_and_file_together_are_refused(gateway):
    file = sent(gateway, LINES)
    body = {"type": "embed", "file_id": file["id"], "documents": ["a"]}
    assert problem(gateway.post("/v1/jobs", body), 400)["errors"][0]["field"] == "file_id"


def test_an_empty_file_is_refused(gateway):
    problem(gateway.client.generic("POST", "/v1/files", b"", CONTENT_TYPE="text/csv"), 400)
    problem(form(gateway, "a.csv", b""), 400)


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/zip"])
def test_a_file_of_another_type_is_415(gateway, content_type):
    problem(gateway.post("/v1/files", b"x", content_type=content_type), 415)


def test_a_file_beyond_the_limit_is_413(gateway, monkeypatch):
    monkeypatch.setattr(FilesView, "max_body_bytes", 1000)
    problem(gateway.post("/v1/files", b"x" * 1001, content_type="text/csv"), 413)
    assert rows("file") == rows("artifact_chunk") == 0


def test_a_form_with_unknown_fields_or_without_a_file_is_400(gateway):
    problem(form(gateway, "a.csv", b"text\nx\n", colour="red"), 400)
    problem(gateway.client.post("/v1/files", {"purpose": "documents"}), 400)
    problem(form(gateway, "a.csv", b"text\nx\n", purpose="theft"), 400)
    problem(form(gateway, "a.exe", b"text\nx\n"), 400)


def test_a_broken_form_is_400(gateway):
    response = gateway.post(
        "/v1/files", b"--x\r\nbroken", content_type="multipart/form-data; boundary=x"
    )
    problem(response, 400)
    response = gateway.post("/v1/files", b"--x\r\nbroken", content_type="multipart/form-data")
    problem(response, 400)


@pytest.mark.parametrize("identifier", ["file-1", "%00", "file-" + "0" * 32, "a" * 3000])
def test_a_file_that_is_not_there_is_404(gateway, identifier):
    problem(gateway.get(f"/v1/files/{identifier}"), 404)
    problem(gateway.get(f"/v1/files/{identifier}/content"), 404)
    assert json.loads(gateway.delete(f"/v1/files/{identifier}").content)["status"] == 404
