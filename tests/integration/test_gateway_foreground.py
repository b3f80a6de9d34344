"""The gateway in the foreground: what it makes sure of before it becomes the HTTP server."""

import os
import signal

import pytest

from daef_site import local, processes, store_facts
from daef_site.ports import free_port
from jobs.actions import restoring
from tests.integration.production import production, refusal

__all__ = ["production"]
ASKED = ("gateway", "--http-only", "--foreground")


class Became(BaseException):
    """The process would be another program now."""


@pytest.fixture
def outside(production, monkeypatch):
    """Sound settings with outside stores, of which Redis is away."""
    production.DAEF_QUEUE = "redis"
    production.DAEF_REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    production.DAEF_HTTP_ADDR = ("0.0.0.0", free_port())
    done: list[str] = []

    def become(program: str, command: list[str], environment: dict[str, str]) -> None:
        done.append(" ".join(command))
        raise Became

    monkeypatch.setattr(local, "_migrate", lambda: done.append("migrated"))
    monkeypatch.setattr(restoring, "notice", lambda _actor: None)
    # The test server is given up after the run; nothing on it has to be durable.
    monkeypatch.setattr(store_facts, "switched_off", dict)
    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(os, "chdir", lambda _folder: None)
    before = {number: signal.getsignal(number) for number in (2, 15, 1)}
    yield done
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.django_db
def test_it_migrates_and_becomes_the_http_server_though_redis_is_away(outside, production):
    with pytest.raises(Became):
        local.serve_http()
    migrated, command = outside
    assert migrated == "migrated"
    assert command == " ".join(processes._http_command())
    assert f"--port {production.DAEF_HTTP_ADDR[1]}" in command


def test_it_starts_no_stores_of_its_own(outside, production):
    production.DAEF_QUEUE = "memory"
    with pytest.raises(processes.CannotStart, match="set DAEF_STORE=postgres and DAEF_QUEUE=redis"):
        local.serve_http()
    assert outside == []


def test_it_refuses_what_is_unsafe_before_it_serves(outside, production, capsys, monkeypatch):
    production.ALLOWED_HOSTS = ["*"]
    assert "daef.E003" in refusal(capsys, monkeypatch, *ASKED)[0]
    assert outside == []


@pytest.mark.django_db
def test_it_refuses_to_serve_others_without_a_token(outside, production, capsys, monkeypatch):
    production.DAEF_API_TOKENS = ""
    assert "daef.E004" in refusal(capsys, monkeypatch, *ASKED)[0]
    assert outside == ["migrated"]
