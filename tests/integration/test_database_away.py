"""Every door while the database refuses: 503 with a time to come back, never a 500."""

from collections.abc import Iterator
from typing import NoReturn

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.integration.console import browser, operator

pytestmark = pytest.mark.django_db


@pytest.fixture
def away() -> Iterator[None]:
    """From here on no statement is answered."""

    def refuse(*_: object) -> NoReturn:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def console() -> Client:
    return operator()


@pytest.mark.parametrize(
    "address",
    [
        "/admin/",
        "/admin/figures/",
        "/admin/queues/",
        "/admin/rq/",
        "/admin/jobs/job/",
        "/admin/jobs/job/1/",
    ],
)
def test_the_console_says_so_and_looks_again(console: Client, away: None, address: str):
    answer = console.get(address)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) >= 1
    assert answer["Content-Type"].startswith("text/html")
    assert b"The database cannot answer" in answer.content


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/v1/jobs"),
        ("get", "/v1/jobs/job-1/tasks"),
        ("get", "/v1/jobs/job-1/events"),
        ("post", "/v1/jobs/job-1/cancel"),
        ("get", "/v1/policies"),
        ("get", "/v1/files"),
    ],
)
def test_the_api_answers_a_problem(away: None, method: str, address: str):
    answer = getattr(browser(), method)(address)
    assert answer.status_code == 503, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert int(answer["Retry-After"]) >= 1
    assert answer.json()["code"] == "unavailable"


def test_the_first_login_says_so_too(away: None):
    assert browser().get("/admin/once/something").status_code == 503


def test_health_does_not_ask_the_database(away: None):
    assert browser().get("/healthz").status_code == 200


def test_readiness_names_the_database(away: None):
    answer = browser().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "the database does not answer"
