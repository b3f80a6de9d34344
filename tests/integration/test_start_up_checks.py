"""An unsafe configuration is refused at start, in one line that ends with the remedy."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from daef_site import checks, env, tls
from daef_site.exposure import EVERY_DOOR, GRPC
from tests.integration.production import CERTIFICATES, TOKEN, production, refusal
from tests.integration.tokens import make_token

__all__ = ["production"]


def certificate(name: str, key: str = "") -> dict[str, str]:
    return {
        "DAEF_TLS_CERT_FILE": str(CERTIFICATES / f"{name}.pem"),
        "DAEF_TLS_KEY_FILE": str(CERTIFICATES / f"{key or name}.key"),
    }


DEPLOYED: dict[str, Any] = {"include_deployment_checks": True, "databases": ["default"]}

UNSAFE: list[tuple[str, dict[str, Any], str, str]] = [
    ("daef.E001", {"SECRET_KEY": "x" * 64}, "DAEF_SECRET_KEY", "one is made and kept"),
    ("daef.E001", {"SECRET_KEY": "change-me-" + TOKEN}, "DAEF_SECRET_KEY", "openssl rand"),
    ("daef.E002", {"DEBUG": True}, "DAEF_DEBUG", "Unset it"),
    ("daef.E003", {"ALLOWED_HOSTS": ["*"]}, "DAEF_ALLOWED_HOSTS", "Name the hosts"),
    (
        "daef.E004",
        {"DAEF_API_TOKENS": "", "DAEF_STORE": "memory"},
        "DAEF_HTTP_ADDR",
        "Set DAEF_API_TOKENS=",
    ),
    ("daef.E005", {"DAEF_API_TOKENS": "short-1:operator"}, "entry 1", "openssl rand"),
    (
        "daef.E005",
        {"DAEF_API_TOKENS": f"{TOKEN}:operator,{'ab' * 20}:metrics"},
        "entry 2",
        "random",
    ),
    ("daef.E005", {"DAEF_AGENT_TOKEN": "agent"}, "DAEF_AGENT_TOKEN", "openssl rand"),
    (
        "daef.E006",
        {"DAEF_TLS_CERT_FILE": "", "DAEF_TLS_KEY_FILE": ""},
        "DAEF_GRPC_ADDR",
        "Set DAEF_TLS_CERT_FILE",
    ),
    ("daef.E007", {"DAEF_TLS_KEY_FILE": ""}, "DAEF_TLS_KEY_FILE", "together"),
    ("daef.E007", {"DAEF_TLS_CERT_FILE": ""}, "DAEF_TLS_CERT_FILE", "together"),
    ("daef.E008", certificate("missing"), "DAEF_TLS_CERT_FILE", "Correct the path"),
    ("daef.E008", {"DAEF_TLS_CA_FILE": "/nowhere.pem"}, "DAEF_TLS_CA_FILE", "Correct the path"),
    ("daef.E009", certificate("valid", "other"), "key values mismatch", "belongs to"),
    (
        "daef.E009",
        {"DAEF_TLS_CA_FILE": str(CERTIFICATES / "other.key")},
        "DAEF_TLS_CA_FILE",
        "PEM",
    ),
    ("daef.E010", certificate("expired"), "has expired", "Put a certificate there"),
    ("daef.E010", certificate("early"), "not yet valid", "set this machine's clock"),
    ("daef.E011", {"DAEF_TEST_KINDS": True}, "DAEF_TEST_KINDS", "Unset it"),
    (
        "daef.E014",
        {"DAEF_QUEUE": "redis", "DAEF_REDIS_URL": "redis://redis.example.com:6379/0"},
        "redis.example.com",
        "DAEF_REDIS_PASSWORD",
    ),
    (
        "daef.E015",
        {"DAEF_TRUSTED_PROXIES": env.networks("-", ["127.0.0.1", "::/0"])},
        "DAEF_TRUSTED_PROXIES",
        "Name the addresses",
    ),
]


def test_a_safe_configuration_starts_without_a_word(production):
    assert checks.require_safe_settings() == []


@pytest.mark.parametrize(("id", "change", "names", "remedy"), UNSAFE)
def test_an_unsafe_setting_is_refused(
    production, capsys, monkeypatch, id: str, change: dict[str, Any], names: str, remedy: str
):
    for name, value in change.items():
        setattr(production, name, value)
    lines = [line for line in refusal(capsys, monkeypatch, "gateway") if id in line]
    assert len(lines) == 1
    assert lines[0].startswith("daef: ")
    assert names in lines[0]
    assert remedy in lines[0]
    assert TOKEN not in lines[0]


@pytest.mark.parametrize(
    ("host", "mode", "warned"),
    [
        ("db.example.com", None, True),
        ("db.example.com", "disable", True),
        ("db.example.com", "prefer", True),
        ("db.example.com", "require", False),
        ("db.example.com", "verify-full", False),
        ("127.0.0.1", "disable", False),
        ("/var/run/postgresql", None, False),
    ],
)
def test_a_far_postgres_in_the_clear_is_warned_of(production, monkeypatch, host, mode, warned):
    options = {"sslmode": mode} if mode else {}
    for name, value in (("HOST", host), ("OPTIONS", options)):
        monkeypatch.setitem(production.DATABASES["default"], name, value)
    told = checks.require_safe_settings()
    assert [line[-11:] for line in told] == ["(daef.W007)"] * warned


@pytest.mark.parametrize(("scheme", "warned"), [("redis", True), ("rediss", False)])
def test_a_far_redis_in_the_clear_is_warned_of(production, scheme, warned):
    production.DAEF_QUEUE = "redis"
    production.DAEF_REDIS_URL = f"{scheme}://:secret@redis.example.com:6379/0"
    told = checks.require_safe_settings()
    assert [line[-11:] for line in told] == ["(daef.W007)"] * warned
    assert "secret" not in "".join(told)


def test_a_misspelt_setting_is_warned_of(production, monkeypatch):
    monkeypatch.setenv("DAEF_API_TOKEN", "secret")
    monkeypatch.setenv("DAEF_SOMETHING_ELSE_ALTOGETHER", "secret")
    (told,) = checks.require_safe_settings()
    assert told.startswith("DAEF_API_TOKEN: is no setting and has no effect. Write DAEF_API_TOKENS")
    assert "secret" not in told


def test_each_reason_has_its_line(production, capsys, monkeypatch):
    production.DEBUG, production.DAEF_API_TOKENS, production.DAEF_STORE = True, "", "memory"
    told = refusal(capsys, monkeypatch, "gateway")
    assert [line[-11:-1] for line in told] == ["(daef.E004", "(daef.E002"]


def test_faults_are_refused_where_others_can_come(production, capsys, monkeypatch):
    monkeypatch.setenv("DAEF_FAULTS", "reaper.between_select_and_update=kill")
    assert "daef.E011" in refusal(capsys, monkeypatch, "gateway")[0]


def test_a_secret_that_every_user_can_read_is_refused(
    production, capsys, monkeypatch, tmp_path: Path
):
    secret = tmp_path / "tokens"
    secret.write_text("x")
    monkeypatch.setattr(env, "SECRET_FILES", {"DAEF_API_TOKENS_FILE": secret})
    secret.chmod(0o640)
    assert checks.require_safe_settings() == []
    secret.chmod(0o644)
    (line,) = refusal(capsys, monkeypatch, "gateway")
    assert line.endswith(f"read or change {secret}. Run `chmod o-rw {secret}`. (daef.E012)")


@pytest.mark.parametrize("name", ["secret_key", "fabric.json", "postgres.password"])
def test_a_secret_in_the_data_folder_that_every_user_can_read_is_refused(
    production, capsys, monkeypatch, tmp_path: Path, name: str
):
    (tmp_path / name).touch(0o644)
    assert "daef.E012" in refusal(capsys, monkeypatch, "gateway")[0]


def test_a_key_that_every_user_can_read_is_refused(production, capsys, monkeypatch):
    Path(production.DAEF_TLS_KEY_FILE).chmod(0o604)
    assert "daef.E012" in refusal(capsys, monkeypatch, "gateway")[0]


def test_a_secret_that_kubernetes_mounted_may_have_a_wide_mode(
    production, monkeypatch, tmp_path: Path
):
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "tokens").touch(0o644)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    monkeypatch.setattr(env, "SECRET_FILES", {"DAEF_API_TOKENS_FILE": tmp_path / "tokens"})
    assert checks.require_safe_settings() == []


def test_a_data_folder_that_every_user_can_write_to_is_refused(
    production, capsys, monkeypatch, tmp_path: Path
):
    tmp_path.chmod(0o777)
    (line,) = refusal(capsys, monkeypatch, "gateway")
    assert f"Run `chmod o-w {tmp_path}`" in line
    assert "daef.E013" in line


def test_behind_a_proxy_too_tokens_are_asked_for(production, capsys, monkeypatch):
    """A gateway on loopback that has a name elsewhere is reached through a proxy."""
    production.DAEF_HTTP_ADDR = ("127.0.0.1", 8080)
    production.DAEF_API_TOKENS, production.DAEF_STORE = "", "memory"
    assert "daef.E004" in refusal(capsys, monkeypatch, "gateway", "--http-only")[0]


@pytest.mark.django_db
def test_where_others_come_a_token_in_the_database_is_enough(production):
    production.DAEF_API_TOKENS = ""
    assert checks.require_safe_settings() == []
    with pytest.raises(checks.UnsafeConfiguration, match="there is no token"):
        checks.require_callers(EVERY_DOOR)
    assert "daef.E004" in [found.id for found in run_checks(**DEPLOYED)]
    make_token("ci", "tenant:default")
    checks.require_callers(EVERY_DOOR)
    assert "daef.E004" not in [found.id for found in run_checks(**DEPLOYED)]


@pytest.mark.django_db
def test_a_control_plane_alone_needs_no_callers(production):
    production.DAEF_API_TOKENS = ""
    checks.require_callers(frozenset({GRPC}))


def test_on_loopback_a_fabric_under_test_may_do_as_it_likes(production):
    production.DAEF_HTTP_ADDR = production.DAEF_GRPC_ADDR = ("127.0.0.1", 8080)
    production.ALLOWED_HOSTS, production.DAEF_PUBLIC_HOSTS = ["localhost"], []
    production.DAEF_HTTPS = False
    production.DAEF_API_TOKENS = "t:operator"
    production.SECRET_KEY = "x" * 40
    production.DEBUG = production.DAEF_TEST_KINDS = True
    assert checks.require_safe_settings() == []


def test_plain_transport_that_was_asked_for_is_warned_of(production):
    production.DAEF_TLS_CERT_FILE = production.DAEF_TLS_KEY_FILE = ""
    production.DAEF_INSECURE_TRANSPORT = True
    (line,) = checks.require_safe_settings()
    assert "travel in the clear" in line
    assert "daef.W001" in line


def test_a_certificate_that_ends_soon_is_warned_of(production, monkeypatch):
    ends = datetime.now(UTC) + timedelta(days=13)
    monkeypatch.setattr(tls, "expiry", lambda *_: ends)
    (line,) = checks.require_safe_settings()
    assert f"{ends:%Y-%m-%d}" in line
    assert "daef.W002" in line


def test_a_missing_confirmation_is_a_hint(production):
    hints = [found.id for found in run_checks(tags=["security"], include_deployment_checks=True)]
    assert "daef.I001" in hints
    production.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "yes"
    hints = [found.id for found in run_checks(tags=["security"], include_deployment_checks=True)]
    assert "daef.I001" not in hints
