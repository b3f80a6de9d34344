import pytest
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
