"""The REST door as a caller sees it: requests in, answers checked against the promised shapes."""

import json

import msgspec
from django.db import connection
from django.test import Client

from jobs.api import shapes

TOKENS = ",".join(
    (
        "alice-token:tenant:alpha",
        "bob-token:tenant:beta",
        "both-token:tenant:alpha|tenant:beta",
        "star-token:tenant:*",
        "olga-token:operator",
        "mona-token:metrics",
    )
)


class Gateway:
    """A caller with or without a token, or with a header of its own making."""

    def __init__(self, token=None, *, header=None):
        headers = {"host": "localhost:8080"}
        if token or header is not None:
            headers["authorization"] = f"Bearer {token}" if token else header
        self.client = Client(headers=headers, raise_request_exception=False)

    def get(self, address, **headers):
        return self.client.get(address, headers=headers)

    def post(self, address, document=None, *, content_type="application/json", **headers):
        body = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
        return self.client.post(address, body, content_type=content_type, headers=headers)

    def delete(self, address):
        return self.client.delete(address)

    def submit(self, **body):
        """Submit a job of echo tasks (or what `body` says) and return its document."""
        if not body.get("type"):
            body = {**pipeline("a", "b", "c"), **body}
        response = self.post("/v1/jobs", body)
        assert response.status_code == 201, response.content
        return checked(response, shapes.Job)


def pipeline(*names, **more):
    """A submit body with one independent echo task per name."""
    tasks = [{"name": name, "kind": "echo", "input": {"said": name}} for name in names]
    return {"type": "pipeline", "tasks": tasks, **more}


def checked(response, shape):
    """The answer, after holding it against its shape field by field."""
    document = json.loads(response.content)
    msgspec.convert(document, shape)
    return document


def problem(response, status, code=None):
    """The problem document of a refused request."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    document = checked(response, shapes.Problem)
    assert document["status"] == status
    assert document["request_id"] == response["X-Request-Id"]
    assert code is None or document["code"] == code
    return document


def rows(table):
    """How many rows a table has."""
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        return cursor.fetchone()[0]
