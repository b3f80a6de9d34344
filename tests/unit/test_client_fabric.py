"""A fabric of this machine: found, given ports, started, stopped."""

import json
import os
import socket

import pytest

from client import local_fabric
from client.local_fabric import CannotStart, addresses, data_folder, find, free_port, started
from tests.unit.client_door import Answer, Door


@pytest.fixture
def door():
    door = Door()
    door.tell("/readyz", Answer({"status": "ok"}))
    yield door
    door.close()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose ``manage.py`` is the test's own."""
    monkeypatch.setattr(local_fabric, "CHECKOUT", tmp_path)
    return tmp_path


def tell(data, url, pid):
    text = json.dumps({"http": url.removeprefix("http://"), "pid": pid})
    (data / "fabric.json").write_text(text)


def test_a_fabric_that_answers_is_found_by_its_data_folder(door, tmp_path):
    tell(tmp_path, door.url, os.getpid())
    found = find(tmp_path)
    assert found is not None
    assert (found.url, found.process) == (door.url, None)


def test_a_fabric_that_does_not_answer_is_none(tmp_path):
    tell(tmp_path, f"http://127.0.0.1:{free_port()}", os.getpid())
    assert find(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"http": "x", "pid": "y"}'])
def test_a_folder_without_a_usable_description_has_no_fabric(tmp_path, text):
    (tmp_path / "fabric.json").write_text(text)
    assert find(tmp_path) is None


def test_a_taken_port_is_named_and_replaced(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        usual = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(local_fabric, "DEFAULT_HTTP", usual)
        chosen, taken = addresses({"DAEF_GRPC_ADDR": "127.0.0.1:9"})
    assert taken == [usual]
    assert int(chosen["DAEF_HTTP_ADDR"].rpartition(":")[2]) in local_fabric.FREE_PORTS


def test_addresses_in_the_environment_are_kept_even_when_taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        named = {"DAEF_HTTP_ADDR": f"127.0.0.1:{server.getsockname()[1]}", "DAEF_GRPC_ADDR": "x:1"}
        assert addresses(named) == (named, [])


def test_the_data_folder_is_the_checkouts_own_by_default(checkout):
    assert data_folder({}) == checkout / ".daef"
    assert data_folder({"DAEF_DATA_DIR": "/data"}).as_posix() == "/data"


def test_a_started_fabric_tells_how_long_its_parts_took_and_ends_with_the_block(door, checkout):
    (checkout / "manage.py").write_text(
        "import time\n"
        "print('postgres      ready in 2.9 s   private')\n"
        "print('control plane ready in 3.4 s   127.0.0.1:1')\n"
        "print('ready         API http://… · log in http://h/admin/once/k7Qm')\n"
        "time.sleep(60)\n"
    )
    address = door.url.removeprefix("http://")
    with started({**os.environ, "DAEF_HTTP_ADDR": address}) as fabric:
        assert fabric.seconds == {"postgres": 2.9, "control plane": 3.4}
        assert fabric.login == "http://h/admin/once/k7Qm"
        assert fabric.process is not None
        assert fabric.process.poll() is None
    assert fabric.process.poll() is not None


def test_a_fabric_that_ends_at_once_is_quoted(checkout):
    (checkout / "manage.py").write_text("import sys\nsys.exit('daef: DAEF_STORE: is nonsense')\n")
    environment = {**os.environ, "DAEF_HTTP_ADDR": f"127.0.0.1:{free_port()}"}
    with pytest.raises(CannotStart, match="DAEF_STORE: is nonsense"), started(environment):
        pass


def test_without_a_checkout_it_says_what_is_missing(checkout):
    with pytest.raises(CannotStart, match="checkout of DAEF"):
        local_fabric.require_checkout()
