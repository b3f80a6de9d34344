"""Uploads that are no documents, and forms that are no forms: refused, or only ever text."""

import csv
import gzip
import io
import zipfile

import pytest

from audit.export import neutral
from tests.integration.gateway import Gateway, problem, rows

pytestmark = pytest.mark.django_db

CSV, LINES = "text/csv", "application/x-ndjson"


def upload(content, content_type, name="a"):
    response = Gateway().client.generic(
        "POST",
        f"/v1/files?name={name}",
        content,
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(content)),
    )
    assert response.status_code == 201, response.content
    return response.json()["id"]


def submit(file_id, **more):
    return Gateway().post(
        "/v1/jobs", {"type": "embed", "file_id": file_id, **more}, content_type="application/json"
    )


def zipped():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "text\n" * 100_000)
    return packed.getvalue()


def deep(depth):
    return b'{"text":"a","metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}\n"


NO_DOCUMENTS = {
    "a header alone": (CSV, b"text\n"),
    "no column of that name": (CSV, b"id,body\n1,a\n"),
    "two columns of that name": (CSV, b"text,text\na,b\n"),
    "an empty header": (CSV, b"\na\n"),
    "an open quote": (CSV, b'text\n"a\nb\nc\n'),
    "a quote in the middle": (CSV, b'text\na "b" c,"d"e\n'),
    "too few columns": (CSV, b"id,text\n1\n"),
    "an empty text": (CSV, b"text,id\n,1\n"),
    "blanks for a text": (CSV, b"text,id\n   ,1\n"),
    "an id twice": (CSV, b"id,text\n1,a\n1,b\n"),
    "an id of 300 letters": (CSV, b"id,text\n" + b"i" * 300 + b",a\n"),
    "a field of a million and one": (CSV, b"text\n" + b"a" * 1_000_001 + b"\n"),
    "10,001 rows": (CSV, b"text\n" + b"a\n" * 10_001),
    "a NUL": (CSV, b"text\na\x00b\n"),
    "only NULs": (CSV, b"\x00" * 1000),
    "gzip": (CSV, gzip.compress(b"text\na\n")),
    "a zip": (CSV, zipped()),
    "a workbook": (CSV, zipped().replace(b"a.csv", b"xl/wb")),
    "Latin-1": (CSV, "text\né\n".encode("latin-1")),
    "UTF-16": (CSV, "text\na\n".encode("utf-16")),
    "a picture": (CSV, b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "words": (LINES, b"hello\n"),
    "a number": (LINES, b"1\n"),
    "null": (LINES, b"null\n"),
    "a list": (LINES, b'["a"]\n'),
    "one document over two lines": (LINES, b'{"text":\n"a"}\n'),
    "a document in a list": (LINES, b'[{"text":"a"}]\n'),
    "a text that is a number": (LINES, b'{"text":1}\n'),
    "no text": (LINES, b'{"id":"a"}\n'),
    "a text of blanks": (LINES, b'{"text":" \\n "}\n'),
    "an unknown field": (LINES, b'{"text":"a","colour":"red"}\n'),
    "metadata that is a list": (LINES, b'{"text":"a","metadata":["b"]}\n'),
    "an id that is a number": (LINES, b'{"id":1,"text":"a"}\n'),
    "an empty id": (LINES, b'{"id":"","text":"a"}\n'),
    "an id twice, one by its place": (LINES, b'{"id":"doc-2","text":"a"}\n"b"\n'),
    "an escaped NUL": (LINES, b'{"text":"a\\u0000"}\n'),
    "half a character": (LINES, b'{"text":"\\ud800"}\n'),
    "a key twice": (LINES, b'{"text":"a","text":"b"}\n'),
    "depth 40": (LINES, deep(40)),
    "depth 100,000": (LINES, deep(100_000)),
    "a number of 5,000 digits": (LINES, b'{"text":"a","metadata":{"n":' + b"9" * 5000 + b"}}\n"),
    "NaN": (LINES, b'{"text":"a","metadata":{"n":NaN}}\n'),
    "bytes that are no UTF-8": (LINES, b'{"text":"\xff"}\n'),
    "CSV": (LINES, b"text\na\n"),
    "10,001 lines": (LINES, b'"a"\n' * 10_001),
    "the first of 100,000 wrong lines": (LINES, b"x\n" * 100_000),
}


@pytest.mark.parametrize("file", NO_DOCUMENTS.values(), ids=NO_DOCUMENTS.keys())
def test_a_file_that_holds_no_documents_is_refused_with_the_place(file):
    content_type, content = file
    response = submit(upload(content, content_type))
    document = problem(response, 400, "invalid_request")
    assert len(document["detail"]) > 20
    assert len(response.content) < 20_000
    assert document["errors"]
    assert rows("job") == 0


DOCUMENTS = {
    "a byte order mark": (CSV, b"\xef\xbb\xbftext\na\n", 1),
    "line ends of three kinds": (CSV, b"text\r\na\nb\r\n", 2),
    "line ends inside quotes": (CSV, b'text\n"a\r\n\nb"\nc\n', 2),
    "formulas": (CSV, b'text\n=1+1\n@SUM(A1)\n+1\n-1\n"=HYPERLINK(""http://x"")"\n', 5),
    "a delimiter of another country": (CSV, b"text\na;b\n", 1),
    "empty lines": (CSV, b"text\n\na\n\n\nb\n", 2),
    "columns too many": (CSV, b"text\na,b,c\n", 1),
    "no line end at the end": (LINES, b'"a"\n{"text":"b"}', 2),
    "blank lines": (LINES, b'\n  \n"a"\n\n', 1),
    "a line separator inside": (LINES, '"a\u2028b"\n'.encode(), 1),
    "an escape sequence": (LINES, b'"\\u001b[2J"\n', 1),
    "markup": (LINES, b'"<script>alert(1)</script>"\n', 1),
    "a million letters": (LINES, b'"' + b"a" * 1_000_000 + b'"\n', 1),
    "an id with a path": (LINES, b'{"id":"../../etc/passwd","text":"a"}\n', 1),
}


@pytest.mark.parametrize("file", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_strange_file_of_documents_is_text_as_it_stands(file):
    content_type, content, documents = file
    file_id = upload(content, content_type)
    response = submit(file_id)
    assert response.status_code == 201, response.content
    assert response.json()["documents"] == documents
    back = Gateway().get(f"/v1/files/{file_id}/content")
    assert b"".join(back) == content
    assert back["Content-Disposition"].startswith("attachment")
    assert back["X-Content-Type-Options"] == "nosniff"


def part(name='name="file"', filename='; filename="a.csv"', more="", content=b"text\na\n"):
    head = f"Content-Disposition: form-data; {name}{filename}\r\n{more}\r\n"
    return b"--b\r\n" + head.encode("utf-8", "surrogateescape") + content + b"\r\n"


END = b"--b--\r\n"
FORM = "multipart/form-data; boundary=b"
NO_FORMS = {
    "no boundary": ("multipart/form-data", part() + END),
    "another boundary": ("multipart/form-data; boundary=c", part() + END),
    "an empty boundary": ("multipart/form-data; boundary=", part() + END),
    "a boundary of 1,000 letters": ("multipart/form-data; boundary=" + "b" * 1000, part() + END),
    "a boundary with a line end": ('multipart/form-data; boundary="b\r\nX: y"', part() + END),
    "nothing in it": (FORM, END),
    "another kind of multipart": ("multipart/mixed; boundary=b", part() + END),
    "no file": (FORM, part('name="purpose"', "", content=b"documents") + END),
    "a file without a name": (FORM, part(filename="") + END),
    "an empty name": (FORM, part(filename='; filename=""') + END),
    "two files": (FORM, part() + part() + END),
    "two files of two fields": (FORM, part() + part('name="other"') + END),
    "another field's file": (FORM, part('name="upload"') + END),
    "an empty file": (FORM, part(content=b"") + END),
    "an unknown field": (FORM, part() + part('name="role"', "", content=b"admin") + END),
    "a purpose nobody knows": (FORM, part() + part('name="purpose"', "", content=b"x") + END),
    "a tenant with a NUL": (FORM, part() + part('name="tenant"', "", content=b"a\x00") + END),
    "a tenant with a line end": (FORM, part() + part('name="tenant"', "", content=b"a\nb") + END),
    "a tenant of 100 letters": (FORM, part() + part('name="tenant"', "", content=b"a" * 100) + END),
    "another's tenant path": (FORM, part() + part('name="tenant"', "", content=b"../b") + END),
    "2,000 fields": (FORM, part() + part('name="purpose"', "", content=b"x") * 2000 + END),
    "a field of 2 MB": (FORM, part() + part('name="purpose"', "", content=b"x" * 2_000_000) + END),
    "a name with an ending nobody knows": (FORM, part(filename='; filename="a.exe"') + END),
    "a name with a NUL": (FORM, part(filename='; filename="a\x00.exe"') + END),
    "base64 that is none": (
        FORM,
        part(more="Content-Transfer-Encoding: base64\r\n", content=b"!!!") + END,
    ),
    "a form in the form": (
        FORM,
        part(filename="", more="Content-Type: multipart/mixed; boundary=c\r\n") + END,
    ),
    "JSON": (FORM, b"{}"),
}


@pytest.mark.parametrize("form", NO_FORMS.values(), ids=NO_FORMS.keys())
def test_a_form_that_is_none_is_a_problem_and_stores_nothing(form):
    content_type, content = form
    response = Gateway().client.generic(
        "POST",
        "/v1/files",
        content,
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(content)),
    )
    assert response.status_code in (400, 413, 415), response.content
    assert len(problem(response, response.status_code)["detail"]) > 10
    assert rows("file") == rows("artifact") == 0


NAMES = {
    "a line end": ("; filename*=UTF-8''a%0d%0ab.csv", "ab.csv"),
    "a path": ('; filename="../../../etc/passwd.csv"', "passwd.csv"),
    "a path of Windows": ('; filename="C:\\\\boot\\\\a.csv"', "a.csv"),
    "quotes": ('; filename="a\\"b.csv"', 'a"b.csv'),
    "markup": ('; filename="<b>a.csv"', "<b>a.csv"),
    "another alphabet": ("; filename*=UTF-8''%D1%84.csv", "ф.csv"),
    "a leading dot": ('; filename=".csv"', ".csv"),
    "a formula": ('; filename="=cmd.csv"', "=cmd.csv"),
    "300 letters": ('; filename="' + "a" * 300 + '.csv"', "a" * 251 + ".csv"),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_files_name_is_a_name_and_no_path(name):
    given, kept = name
    content = part(filename=given) + END
    response = Gateway().client.generic(
        "POST", "/v1/files", content, CONTENT_TYPE=FORM, CONTENT_LENGTH=str(len(content))
    )
    assert response.status_code == 201, response.content
    assert response.json()["name"] == kept
    listed = Gateway().get("/v1/files").json()["items"]
    assert [file["name"] for file in listed] == [kept]


CELLS = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x","y")', "\x00=1"]


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_of_an_export_is_a_formula(cell):
    written = io.StringIO()
    csv.writer(written).writerow([neutral(cell)])
    (read,) = next(csv.reader(io.StringIO(written.getvalue(), newline="")))
    assert read[0] not in "=+-@\t\r\n\x00"


def test_a_reason_that_is_a_formula_is_none_in_the_audit_log_that_is_exported():
    gateway = Gateway()
    job = gateway.submit()
    gateway.post(f"/v1/jobs/{job['id']}/cancel")
    body = {"tasks": [f"{job['id']}-1"], "reason": "=cmd|' /C calc'!A0"}
    gateway.post("/v1/admin/queue/dead-letter", body)
    exported = b"".join(gateway.get("/v1/admin/audit?format=csv")).decode()
    cells = [cell for line in csv.reader(io.StringIO(exported)) for cell in line]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@") and cell[:1]]
