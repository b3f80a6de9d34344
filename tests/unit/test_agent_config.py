"""The agent's settings refuse nonsense and say what to do instead."""

import json
import os

import pytest

from workeragent.agent import available_models
from workeragent.config import ConfigurationError, has_moved, load

HERE = {"DAEF_CONTROL_PLANE": "127.0.0.1:8081"}


def test_a_named_control_plane_on_this_machine_needs_nothing_else():
    settings = load(HERE)
    assert settings.transport.address == "127.0.0.1:8081"
    assert settings.pool == "default"
    assert settings.slots == os.cpu_count()
    assert settings.fabric is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAEF_SLOTS", "0"),
        ("DAEF_SLOTS", "-3"),
        ("DAEF_SLOTS", "many"),
        ("DAEF_SLOTS", "9" * 5000),
        ("DAEF_SLOTS", "²"),
        ("DAEF_DRAIN_SECONDS", "soon"),
        ("DAEF_DRAIN_SECONDS", "-1"),
        ("DAEF_DRAIN_SECONDS", "nan"),
        ("DAEF_POOL", "a b"),
        ("DAEF_POOL", "a:b"),
        ("DAEF_POOL", "x" * 64),
        ("DAEF_TEST_KINDS", "perhaps"),
        ("DAEF_CONTROL_PLANE", "127.0.0.1"),
        ("DAEF_CONTROL_PLANE", "http://127.0.0.1:8081"),
        ("DAEF_CONTROL_PLANE", "127.0.0.1:99999"),
        ("DAEF_TLS_CA_FILE", "/does/not/exist"),
        ("DAEF_AGENT_TOKEN", "two words"),
        ("DAEF_AGENT_TOKEN_FILE", "/does/not/exist"),
    ],
)
def test_nonsense_is_refused_with_the_variable_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        load({**HERE, name: value})


def test_a_far_control_plane_without_tls_is_refused():
    with pytest.raises(ConfigurationError, match="DAEF_TLS_CA_FILE"):
        load({"DAEF_CONTROL_PLANE": "daef.example:8081", "DAEF_AGENT_TOKEN": "t"})


def test_a_far_control_plane_without_tls_can_be_insisted_on():
    settings = load(
        {
            "DAEF_CONTROL_PLANE": "daef.example:8081",
            "DAEF_AGENT_TOKEN": "t",
            "DAEF_INSECURE_TRANSPORT": "1",
        }
    )
    assert not settings.transport.secure


def test_a_far_control_plane_needs_a_token(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("-")
    with pytest.raises(ConfigurationError, match="DAEF_AGENT_TOKEN"):
        load({"DAEF_CONTROL_PLANE": "10.0.0.1:8081", "DAEF_TLS_CA_FILE": str(authority)})


def test_a_certificate_without_its_key_is_refused(tmp_path):
    certificate = tmp_path / "cert.pem"
    certificate.write_text("-")
    with pytest.raises(ConfigurationError, match="DAEF_TLS_KEY_FILE"):
        load({**HERE, "DAEF_TLS_CERT_FILE": str(certificate)})


def test_the_token_may_be_in_a_file(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("from-file\n")
    assert load({**HERE, "DAEF_AGENT_TOKEN_FILE": str(secret)}).transport.token == "from-file"


def test_a_token_given_twice_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="not both"):
        load({**HERE, "DAEF_AGENT_TOKEN": "a", "DAEF_AGENT_TOKEN_FILE": str(tmp_path / "b")})


def test_the_token_is_not_in_the_settings_text():
    assert "s3cret" not in repr(load({**HERE, "DAEF_AGENT_TOKEN": "s3cret"}))


def fabric(folder, **changes):
    found = {
        "pid": os.getpid(),
        "grpc": "127.0.0.1:9",
        "agent_token": "local",
        "agent_redis_url": "redis://127.0.0.1:10",
    }
    (folder / "fabric.json").write_text(json.dumps({**found, **changes}))
    return {"DAEF_DATA_DIR": str(folder)}


def test_without_settings_the_local_fabric_is_joined(tmp_path):
    settings = load(fabric(tmp_path))
    assert settings.transport.address == "127.0.0.1:9"
    assert settings.transport.token == "local"
    assert settings.queue_url == "redis://127.0.0.1:10"


def test_a_dead_fabric_is_waited_for_and_then_the_variables_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("workeragent.config.WAIT_FOR_FABRIC_SECONDS", 0.1)
    said: list[str] = []
    with pytest.raises(ConfigurationError, match=r"DAEF_CONTROL_PLANE.*DAEF_AGENT_TOKEN"):
        load(fabric(tmp_path, pid=2**22 + 1), said.append)
    assert len(said) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x"}', "null", '{"pid": 1}'])
def test_a_broken_fabric_file_is_no_fabric(tmp_path, monkeypatch, text):
    monkeypatch.setattr("workeragent.config.WAIT_FOR_FABRIC_SECONDS", 0.0)
    (tmp_path / "fabric.json").write_text(text)
    with pytest.raises(ConfigurationError, match="make up"):
        load({"DAEF_DATA_DIR": str(tmp_path)}, lambda _line: None)


def test_a_fabric_started_anew_elsewhere_is_noticed(tmp_path):
    settings = load(fabric(tmp_path))
    assert not has_moved(settings)
    fabric(tmp_path, grpc="127.0.0.1:11")
    assert has_moved(settings)


def test_the_models_of_endpoints_are_announced_by_the_keys_there_are():
    environ = {"DAEF_MODEL_KEY_ACME": "x", "DAEF_MODEL_KEY_ZZ_FILE": "/f", "PATH": "/bin"}
    found = [name for name in available_models(environ) if name.startswith("openai:")]
    assert found == ["openai:", "openai:ACME", "openai:ZZ"]
