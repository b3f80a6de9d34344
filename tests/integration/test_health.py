import pytest
from django.db import connection
from django.test import Client

pytestmark = pytest.mark.django_db


def test_ready_names_each_check(client: Client):
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "status": "ready",
        "checks": dict.fromkeys(("database", "migrations", "durability", "redis"), "ok"),
    }


def test_a_redis_that_is_away_is_named(client: Client, settings):
    settings.DAEF_REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["checks"]["redis"] == "Redis does not answer"


def test_a_store_that_would_lose_commits_is_not_ready(client: Client, settings):
    settings.DAEF_STORE = "postgres"
    settings.DAEF_FABRIC = None
    # The test run's server has them off, which only a private store may.
    assert "fsync" in client.get("/readyz").json()["checks"]["durability"]


def test_health_takes_no_post(client: Client):
    assert client.post("/healthz").status_code == 405


def applied(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into django_migrations (app, name, applied) values ('jobs', %s, now())", [name]
        )


def test_what_a_newer_version_adds_meanwhile_leaves_us_ready(client: Client):
    assert client.get("/readyz").status_code == 200
    applied("9000_adds")
    assert client.get("/readyz").status_code == 200


def test_what_a_newer_version_takes_away_meanwhile_ends_our_readiness(client: Client):
    assert client.get("/readyz").status_code == 200
    applied("9001_contract_9_0_drop_column")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "needs DAEF 9.0" in answer.json()["checks"]["migrations"]
