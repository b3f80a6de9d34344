"""Who gets in: bearer tokens, or loopback while no token is configured."""

import pytest
from django.test import RequestFactory, override_settings
from rest_framework.request import Request

from access.actors import LOCAL_OPERATOR
from access.authentication import BearerAuthentication, authenticate_header
from access.errors import AccessError, BadCredentials, SuspectBody

TOKENS = "alpha-token:tenant:alpha"


def ask(method="get", address="/v1/jobs", data=None, content_type="application/json", **headers):
    make = getattr(RequestFactory(), method)
    meta = {"HTTP_HOST": "127.0.0.1:8080", **headers}
    if method == "get":
        return BearerAuthentication().authenticate(Request(make(address, **meta)))
    return BearerAuthentication().authenticate(
        Request(make(address, data or "{}", content_type=content_type, **meta))
    )


@pytest.fixture
def tokens():
    with override_settings(DAEF_API_TOKENS=TOKENS, DAEF_AGENT_TOKEN="agent-token"):
        yield


@pytest.fixture
def open_door(monkeypatch):
    monkeypatch.setattr("access.tokens.any_made", lambda: False)
    with override_settings(DAEF_API_TOKENS="", DAEF_AGENT_TOKEN="agent-token"):
        yield


def test_a_token_in_the_header_is_known(tokens):
    actor, _ = ask(HTTP_AUTHORIZATION="Bearer alpha-token")
    assert actor.scopes == {"tenant:alpha"}


def test_the_scheme_is_not_case_sensitive(tokens):
    assert authenticate_header("bearer alpha-token").scopes == {"tenant:alpha"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "alpha-token",
        "Bearer  alpha-token",
        "Bearer alpha-token,Bearer alpha-token",
        "Bearer alpha-token extra",
        "Bearer álpha",
        "Bearer " + "a" * 10_000,
        "Bearer wrong",
    ],
)
def test_a_malformed_or_unknown_token_is_refused(tokens, header):
    with pytest.raises(BadCredentials):
        ask(HTTP_AUTHORIZATION=header)


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "Authorization"])
def test_a_token_in_the_address_is_refused(tokens, name):
    with pytest.raises(BadCredentials, match="query string"):
        ask(address=f"/v1/jobs?{name}=alpha-token", HTTP_AUTHORIZATION="Bearer alpha-token")


def test_without_a_header_nobody_is_known_while_tokens_are_configured(tokens):
    assert ask() is None


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_loopback_is_open_while_no_token_is_configured(open_door, host):
    assert ask(HTTP_HOST=host) == (LOCAL_OPERATOR, LOCAL_OPERATOR)


def test_the_local_agents_token_does_not_close_the_open_door(open_door):
    assert ask("post") == (LOCAL_OPERATOR, LOCAL_OPERATOR)


def test_the_local_agents_token_is_a_worker_only(open_door):
    assert authenticate_header("Bearer agent-token").scopes == {"worker"}


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": "localhost.evil.example:8080"},
        {"HTTP_HOST": ""},
        {"HTTP_X_FORWARDED_FOR": "10.0.0.7"},
        {"HTTP_FORWARDED": "for=10.0.0.7"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "null"},
    ],
)
def test_the_open_door_is_for_this_machine_only(open_door, headers):
    with pytest.raises(AccessError):
        ask(**headers)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/plain;charset=utf-8"]
)
def test_the_open_door_refuses_bodies_that_any_page_could_send(open_door, content_type):
    with pytest.raises(SuspectBody, match="application/json"):
        ask("post", content_type=content_type)


def test_the_open_door_takes_a_form_from_the_command_line(open_door):
    assert ask("post", content_type="multipart/form-data; boundary=x")


def test_the_open_door_refuses_a_form_from_a_browser(open_door):
    with pytest.raises(SuspectBody):
        ask("post", content_type="multipart/form-data; boundary=x", HTTP_SEC_FETCH_SITE="none")
