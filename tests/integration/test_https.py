"""Behind a proxy that ends TLS: who is believed about it, and what changes with https."""

import json
import os
import secrets
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

ROOT = Path(__file__).parents[2]
NAME = "daef.example.com"
PROXY: dict[str, Any] = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": NAME}


@pytest.fixture
def https(settings, db):
    """A gateway that a proxy on this machine serves to others."""
    settings.ALLOWED_HOSTS = settings.DAEF_PUBLIC_HOSTS = [NAME, "127.0.0.1"]
    settings.DAEF_HTTPS = settings.SECURE_SSL_REDIRECT = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_PROXY_SSL_HEADER = ("daef.transport", "https")
    settings.SECURE_REDIRECT_EXEMPT = derived(DAEF_ALLOWED_HOSTS=NAME)["SECURE_REDIRECT_EXEMPT"]
    settings.SECURE_SSL_HOST = NAME
    settings.SECURE_HSTS_SECONDS = 31_536_000


@cache
def derived(**variables: str) -> dict[str, Any]:
    """What the settings become of these variables, read by a process of its own."""
    script = (
        "import json; from daef_site import settings as s; "
        "names = [n for n in dir(s) if n.startswith(('SECURE_', 'SESSION_', 'CSRF_'))]; "
        "print(json.dumps({name: getattr(s, name) for name in names}))"
    )
    found: dict[str, Any] = json.loads(run([sys.executable, "-c", script], **variables).stdout)
    return found


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if name[:5] != "DAEF_"}
    environment = inherited | {"DAEF_SECRET_KEY": secrets.token_hex(32)} | variables
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )


def deploy_check(data: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    production = {
        "DAEF_DATA_DIR": str(data),
        "DAEF_STORE": "postgres",
        "DAEF_POSTGRES_DSN": "postgres://daef:secret@db.example.com:5432/daef?sslmode=verify-full",
        "DAEF_QUEUE": "redis",
        "DAEF_REDIS_ADDR": f"rediss://:{secrets.token_hex(16)}@redis.example.com:6379/0",
        "DAEF_API_TOKENS": f"{secrets.token_hex(32)}:tenant:default|operator",
        "DAEF_ALLOWED_HOSTS": NAME,
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return run(command, **production | variables)


def test_a_production_configuration_passes_the_deployment_check(tmp_path: Path):
    done = deploy_check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WARNINGS" not in done.stdout + done.stderr


def test_stores_in_the_clear_fail_a_strict_deployment_check(tmp_path: Path):
    address = "postgres://daef:secret@db.example.com:5432/daef?sslmode=prefer"
    done = deploy_check(tmp_path, DAEF_POSTGRES_DSN=address)
    assert done.returncode == 1
    assert "daef.W007" in done.stderr


def test_the_deployment_check_tells_what_is_unsafe(tmp_path: Path):
    done = deploy_check(tmp_path, DAEF_HTTPS="0", DAEF_DEBUG="1", DAEF_GRPC_ADDR=":8081")
    assert done.returncode != 0
    for id in ("security.W012", "security.W016", "daef.E002", "daef.E006"):
        assert id in done.stderr


def test_a_name_in_the_network_brings_https_and_loopback_does_without():
    named, local = derived(DAEF_ALLOWED_HOSTS=f"{NAME},localhost"), derived()
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"):
        assert (named[name], local[name]) == (True, False)
    assert (named["SECURE_SSL_HOST"], local["SECURE_PROXY_SSL_HEADER"]) == (NAME, None)


def test_the_console_comes_by_https_only(https):
    answer = Client().get("/admin/login/", HTTP_HOST="127.0.0.1")
    assert answer.status_code == 301
    assert answer["Location"] == f"https://{NAME}/admin/login/"


def test_a_trusted_proxy_is_believed_and_cookies_are_secure(https):
    answer = Client().get("/admin/login/", **PROXY)
    assert answer.status_code == 200
    assert answer.cookies["csrftoken"]["secure"]
    assert answer["Strict-Transport-Security"] == "max-age=31536000"


def test_the_log_in_form_works_through_the_proxy(https):
    client = Client(enforce_csrf_checks=True)
    token = client.get("/admin/login/", **PROXY).cookies["csrftoken"].value
    form = {"csrfmiddlewaretoken": token, "username": "nobody", "password": "wrong"}
    headers = PROXY | {"HTTP_ORIGIN": f"https://{NAME}"}
    assert client.post("/admin/login/", form, **headers).status_code == 200
    elsewhere = PROXY | {"HTTP_ORIGIN": "https://evil.example.com"}
    assert client.post("/admin/login/", form, **elsewhere).status_code == 403


def test_no_one_else_is_believed(https):
    assert Client().get("/admin/login/", REMOTE_ADDR="10.0.0.9", **PROXY).status_code == 301
    header: dict[str, Any] = {"HTTP_DAEF_TRANSPORT": "https", "HTTP_HOST": NAME}
    assert Client().get("/admin/login/", **header).status_code == 301


def test_a_proxy_that_says_http_is_believed_too(https):
    headers = PROXY | {"HTTP_X_FORWARDED_PROTO": "http"}
    assert Client().get("/admin/login/", **headers).status_code == 301


def test_another_network_can_be_trusted(https, settings):
    from ipaddress import ip_network

    settings.DAEF_TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    assert Client().get("/admin/login/", REMOTE_ADDR="10.0.0.9", **PROXY).status_code == 200
    mapped = Client().get("/admin/login/", REMOTE_ADDR="::ffff:10.0.0.9", **PROXY)
    assert mapped.status_code == 200
    assert Client().get("/admin/login/", REMOTE_ADDR="127.0.0.1", **PROXY).status_code == 301


def test_probes_and_programs_are_not_sent_elsewhere(https, settings):
    assert Client().get("/healthz", HTTP_HOST="127.0.0.1").status_code == 200
    settings.DAEF_API_TOKENS = f"{secrets.token_hex(32)}:operator"
    assert Client().get("/v1/jobs", HTTP_HOST="127.0.0.1").status_code == 401


@pytest.mark.parametrize("header", ["X_FORWARDED_PROTO", "X_FORWARDED_HOST", "VIA"])
def test_what_a_proxy_brings_finds_the_door_without_tokens_closed(db, header: str):
    told: dict[str, Any] = {f"HTTP_{header}": "https"}
    answer = Client().get("/v1/jobs", HTTP_HOST="127.0.0.1", **told)
    assert answer.status_code == 401
    assert Client().get("/v1/jobs", HTTP_HOST="127.0.0.1").status_code == 200


def test_no_one_time_link_is_made_with_https(https):
    from daef_site import first_login

    assert first_login.loopback_address() is None
