"""The probes' addresses, asked over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

import probes
from daef_site.ports import free_port


@pytest.fixture
def signs() -> probes.Signs:
    return probes.Signs()


@pytest.fixture
def address(signs: probes.Signs) -> Iterator[str]:
    port = free_port()
    server = probes.serve(("127.0.0.1", port), signs)
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()


def test_the_probes_answer_what_the_process_knows_of_itself(signs, address):
    assert httpx.get(f"{address}/healthz").status_code == 200
    assert httpx.get(f"{address}/readyz").status_code == 503
    signs.answered()
    assert httpx.get(f"{address}/readyz?verbose").status_code == 200


def test_there_is_nothing_else(address):
    assert httpx.get(f"{address}/metrics").status_code == 404
    assert httpx.post(f"{address}/healthz").status_code == 501


def test_a_port_that_is_taken_is_refused(address):
    with pytest.raises(OSError, match="in use"):
        probes.serve(("127.0.0.1", int(address.rpartition(":")[2])), probes.Signs())
