"""Database tokens: good until they expire or are revoked, at the next request, everywhere."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from access.authentication import authenticate_header
from access.errors import BadCredentials, RateExceeded
from access.models import ApiToken
from access.token_text import SHOWN_CHARACTERS, digest_of, new_token
from tests.integration.gateway import Gateway, problem
from tests.integration.minutes import early_in_a_minute
from tests.integration.tokens import let_expire, make_token, mistyped, revoke

pytestmark = pytest.mark.django_db


def knows(token):
    return authenticate_header(f"Bearer {token}")


def test_a_token_is_good_at_once():
    caller = knows(make_token("ci", "tenant:acme", "metrics"))
    assert (caller.name, caller.scopes) == ("token:ci", {"tenant:acme", "metrics"})


def test_a_revoked_token_is_refused_at_its_next_request():
    token = make_token("ci", "tenant:acme")
    assert Gateway(token).get("/v1/jobs").status_code == 200
    revoke("ci")
    told = problem(Gateway(token).get("/v1/jobs"), 401, "unauthenticated")
    assert "ci was revoked" in told["detail"]


def test_an_expired_token_is_refused():
    token = make_token("ci", "tenant:acme", expires_at=timezone.now() + timedelta(minutes=1))
    assert Gateway(token).get("/v1/jobs").status_code == 200
    let_expire("ci")
    told = problem(Gateway(token).get("/v1/jobs"), 401, "unauthenticated")
    assert "ci expired at" in told["detail"]


def test_a_token_that_is_not_ours_is_unknown():
    make_token("ci", "tenant:acme")
    told = problem(Gateway(new_token()).get("/v1/jobs"), 401, "unauthenticated")
    assert "not known" in told["detail"]


def test_a_mistyped_token_is_told_apart_without_a_query(django_assert_num_queries):
    token = make_token("ci", "tenant:acme")
    with django_assert_num_queries(0), pytest.raises(BadCredentials, match="mistyped"):
        knows(mistyped(token))


@pytest.mark.parametrize("text", ["daef_x", "daef_", "daef_" + "0" * 36, "nobody"])
def test_what_cannot_be_one_of_ours_is_refused_without_a_query(text, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(BadCredentials):
        knows(text)


def test_a_token_costs_one_query(django_assert_num_queries):
    token = make_token("ci", "tenant:acme", requests_per_minute=5)
    for _ in range(2):
        with django_assert_num_queries(1):
            knows(token)


def test_a_configured_token_costs_no_query(settings, django_assert_num_queries):
    settings.DAEF_API_TOKENS = "daef_of-our-own:operator"
    with django_assert_num_queries(0):
        assert knows("daef_of-our-own").scopes == {"operator"}


def test_only_the_hash_of_a_token_is_kept():
    token = make_token("ci", "tenant:acme", description="for the pipeline")
    kept = [str(column) for column in ApiToken.objects.values_list().get()]
    assert digest_of(token) in kept
    assert [column for column in kept if token[5:9] in column] == [token[:SHOWN_CHARACTERS]]


def test_the_last_use_is_noted_at_most_once_a_minute():
    token, seen = make_token("ci", "tenant:acme"), []
    for _ in range(3):
        seen.append(ApiToken.objects.get().last_used_at)
        knows(token)
    assert seen[0] is None
    assert seen[1] == seen[2] is not None
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    knows(token)
    assert ApiToken.objects.filter(last_used_at__gt=seen[2]).exists()


def test_a_refused_token_was_not_used():
    token = make_token("ci", "tenant:acme")
    revoke("ci")
    with pytest.raises(BadCredentials):
        knows(token)
    assert ApiToken.objects.get().last_used_at is None


def test_a_token_may_ask_as_often_as_it_says_in_a_minute():
    token = make_token("ci", "tenant:acme", requests_per_minute=2)
    other = make_token("ci-2", "tenant:acme", requests_per_minute=2)
    early_in_a_minute()
    answers = [Gateway(token).get("/v1/jobs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    told = problem(answers[-1], 429, "rate_limited")
    assert "2 requests a minute" in told["detail"]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert Gateway(other).get("/v1/jobs").status_code == 200


def test_the_next_minute_lets_a_token_in_again():
    token = make_token("ci", "tenant:acme", requests_per_minute=1)
    early_in_a_minute()
    knows(token)
    with pytest.raises(RateExceeded):
        knows(token)
    with connection.cursor() as cursor:
        cursor.execute("update request_window set minute = minute - 1")
    knows(token)


# ── the open door ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_configured_tokens(settings):
    settings.DAEF_API_TOKENS = ""
    settings.DAEF_AGENT_TOKEN = "agent-token"


@pytest.mark.usefixtures("no_configured_tokens")
def test_loopback_is_open_until_the_first_token_is_made():
    assert Gateway().get("/v1/jobs").status_code == 200
    make_token("ci", "metrics")
    problem(Gateway().get("/v1/jobs"), 401, "unauthenticated")


@pytest.mark.usefixtures("no_configured_tokens")
@pytest.mark.parametrize("end", [revoke, let_expire])
def test_the_end_of_the_last_token_does_not_open_the_door_again(end):
    make_token("ci", "tenant:acme")
    end("ci")
    problem(Gateway().get("/v1/jobs"), 401, "unauthenticated")


@pytest.mark.usefixtures("no_configured_tokens")
def test_the_open_door_costs_one_query(django_assert_num_queries):
    from access.tokens import any_token

    with django_assert_num_queries(1):
        assert not any_token()


def test_a_configured_token_closes_the_door_without_a_query(settings, django_assert_num_queries):
    from access.tokens import any_token

    settings.DAEF_API_TOKENS = "a-token:metrics"
    with django_assert_num_queries(0):
        assert any_token()
