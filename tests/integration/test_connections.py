"""What stalls is ended, what moves is left alone; bodies that are cut short are never whole."""

import io
import socket
import sys
from collections.abc import Iterator

import pytest

from daef_site.receiving import Body, Places, with_places
from daef_site.stalled import end_stalled
from jobs.errors import MalformedBody, Unavailable
from tests.acceptance.fabrics import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")


FREE = Places(1)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def pair(listener):
    client = socket.create_connection(listener.getsockname())
    served, _ = listener.accept()
    client.settimeout(5)
    return client, served


def test_a_connection_without_a_byte_is_ended(listener):
    client, served = pair(listener)
    with client, served:
        wait_until(lambda: end_stalled(listener.getsockname()[1], 0.2) == 1)
        assert client.recv(1) == b""


def test_a_connection_on_which_data_moves_is_left_alone(listener):
    client, served = pair(listener)
    with client, served:
        for _ in range(5):
            client.sendall(b"a")
            assert served.recv(1) == b"a"
            assert end_stalled(listener.getsockname()[1], 5) == 0
        served.sendall(b"b")
        assert client.recv(1) == b"b"


def test_connections_to_others_are_left_alone(listener):
    client, served = pair(listener)
    with client, served:
        assert end_stalled(1, 0) == 0
        served.sendall(b"b")
        assert client.recv(1) == b"b"


def test_a_body_that_ends_too_early_is_refused():
    body = Body(io.BytesIO(b"12345"), 10, FREE)
    assert body.read(7) == b"12345"
    with pytest.raises(MalformedBody):
        body.read(7)


def test_a_whole_body_is_read_to_its_end():
    body = Body(io.BytesIO(b"12\n45"), 5, FREE)
    assert body.readline() == b"12\n"
    assert body.read(10) == b"45"
    assert body.read(10) == b""


def test_only_a_request_with_a_body_takes_a_place():
    seen = []

    def application(environ, start_response):
        seen.append(environ["wsgi.input"])
        return []

    bounded = with_places(application, 1)
    for length in ("", "0", "5"):
        bounded({"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"12345")}, print)
    assert [isinstance(source, Body) for source in seen] == [False, False, True]


def test_a_body_without_a_place_is_told_to_come_back():
    with FREE.take(), pytest.raises(Unavailable) as refused:
        Body(io.BytesIO(b"12345"), 5, FREE).read(5)
    assert refused.value.retry_after_seconds
