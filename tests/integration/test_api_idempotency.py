"""An Idempotency-Key makes at most one job, whoever asks how often and at the same time."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.actions import retention
from jobs.api import shapes
from jobs.models import IdempotencyRecord
from tests.integration.gateway import Gateway, checked, pipeline, problem, rows


def submit(key, body, gateway=None):
    return (gateway or Gateway()).client.post(
        "/v1/jobs",
        json.dumps(body).encode(),
        content_type="application/json",
        headers={"idempotency-key": key},
    )


@pytest.mark.django_db
def test_the_same_key_and_body_answer_the_same_job():
    first, second = (submit("k1", pipeline("a")) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert checked(first, shapes.Job)["id"] == checked(second, shapes.Job)["id"]
    assert first["Location"] == second["Location"]
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert rows("job") == 1


@pytest.mark.django_db
def test_the_same_key_and_another_body_are_422():
    submit("k1", pipeline("a"))
    problem(submit("k1", pipeline("b")), 422, "idempotency_mismatch")
    assert rows("job") == 1


@pytest.mark.django_db
def test_a_refused_request_does_not_use_up_its_key():
    problem(submit("k1", {"type": "pipeline", "tasks": []}), 400)
    assert submit("k1", pipeline("a")).status_code == 201


@pytest.mark.django_db
def test_a_keys_age_is_counted_by_the_clock_of_the_database(monkeypatch):
    wrong = timezone.now() - timedelta(days=30)
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    submit("k1", pipeline("a"))
    retention.clean_up(days=30)
    assert IdempotencyRecord.objects.count() == 1


@pytest.mark.django_db
def test_keys_of_different_tenants_do_not_meet(settings):
    settings.DAEF_API_TOKENS = "alice:tenant:alpha,bob:tenant:beta"
    answers = [submit("k1", pipeline("a"), Gateway(token)) for token in ("alice", "bob")]
    assert len({answer.json()["id"] for answer in answers}) == 2


def in_threads(count, work):
    """Run `work` on real connections of their own, begun together."""
    barrier = threading.Barrier(count)

    def one(_):
        try:
            barrier.wait(10)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_two_connections_with_one_key_make_one_job():
    answers = in_threads(2, lambda: submit("k1", pipeline(*(f"t{n}" for n in range(200)))))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([201, 201], [201, 409])
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "request_in_flight")
            assert int(answer["Retry-After"]) >= 1
    assert rows("job") == 1


@pytest.mark.django_db
def test_the_same_request_in_other_order_and_spacing_is_the_same():
    body = pipeline("a", labels={"x": "1", "y": "2"})
    first = submit("k1", body)
    turned = {key: body[key] for key in reversed(body)} | {"labels": {"y": "2", "x": "1"}}
    again = Gateway().client.post(
        "/v1/jobs",
        json.dumps(turned, indent=2).encode(),
        content_type="application/json",
        headers={"idempotency-key": "k1"},
    )
    assert again.status_code == 201
    assert again.json()["id"] == first.json()["id"]
