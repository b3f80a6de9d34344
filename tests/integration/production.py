"""A gateway as others reach it: settings that nothing is wrong with, for tests that spoil one."""

import secrets
import sys
from pathlib import Path

import pytest

import manage
from daef_site import env, local
from jobs.rpc import server

CERTIFICATES = Path(__file__).parents[1] / "certificates"
FAR = ("0.0.0.0", 8080)
TOKEN = secrets.token_hex(32)


class Started(BaseException):
    """The command found nothing to refuse."""


@pytest.fixture
def production(settings, monkeypatch, tmp_path):
    """Settings of a gateway that others reach, all of them sound."""
    key = tmp_path / "server.key"
    key.write_bytes((CERTIFICATES / "valid.key").read_bytes())
    key.chmod(0o600)
    settings.DAEF_DATA_DIR = tmp_path
    settings.DAEF_STORE = "postgres"
    settings.DAEF_HTTP_ADDR = FAR
    settings.DAEF_GRPC_ADDR = ("0.0.0.0", 8081)
    settings.DAEF_API_TOKENS = f"{TOKEN}:tenant:default|operator"
    settings.DAEF_AGENT_TOKEN = secrets.token_hex(32)
    settings.DAEF_TLS_CERT_FILE = str(CERTIFICATES / "valid.pem")
    settings.DAEF_TLS_KEY_FILE = str(key)
    settings.DAEF_TLS_CA_FILE = ""
    settings.DAEF_INSECURE_TRANSPORT = False
    settings.DAEF_TEST_KINDS = False
    settings.DAEF_PUBLIC_HOSTS = settings.ALLOWED_HOSTS = ["daef.example.com"]
    settings.SECRET_KEY = secrets.token_hex(32)
    settings.DEBUG = False
    monkeypatch.delenv("DAEF_FAULTS", raising=False)
    monkeypatch.setattr(env, "SECRET_FILES", {})
    monkeypatch.setattr(local, "_run", starts)
    monkeypatch.setattr(server, "serve", starts)
    return settings


def starts(*_arguments: object) -> None:
    raise Started


def refusal(capsys, monkeypatch, *command: str) -> list[str]:
    """What the command says before it ends with the status for wrong settings."""
    monkeypatch.setattr(sys, "argv", ["manage.py", *command])
    assert manage.main() == 2
    return capsys.readouterr().err.strip().splitlines()
