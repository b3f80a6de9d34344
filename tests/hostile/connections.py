"""Bare TCP to an HTTP server: what no client library would send, and what comes back for it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `status` 0 where the connection was closed without any."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes

    def problem(self) -> dict[str, Any]:
        """The problem document that it is."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return document


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A connection to ``host:port``."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_SECONDS) as connection:
        yield connection


def exchange(address: str, data: bytes, *, half_close: bool = False) -> Answer:
    """The first answer to these bytes; TimeoutError when the server neither answers nor closes."""
    with connected(address) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It answered and closed before it had read everything.
        return first_answer(connection)


def first_answer(connection: socket.socket) -> Answer:
    """Read until the answer is there as a whole, or the server closes the connection."""
    deadline = time.monotonic() + WAIT_SECONDS
    received = b""
    while time.monotonic() < deadline:
        answer = _parsed(received)
        if answer is not None:
            return answer
        try:
            piece = connection.recv(65_536)
        except ConnectionError:
            piece = b""
        if not piece:
            return _parsed(received, ended=True) or Answer(0, {}, b"", received)
        received += piece
    raise TimeoutError(f"no answer within {WAIT_SECONDS} s; so far: {received[:200]!r}")


def _parsed(received: bytes, *, ended: bool = False) -> Answer | None:
    head, separator, rest = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if status == 100:
        return _parsed(rest, ended=ended)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "chunked" in headers.get("transfer-encoding", ""):
        body, separator, rest = rest.partition(b"\r\n0\r\n\r\n")
        whole = b"".join(body.split(b"\r\n")[1::2])
        return Answer(status, headers, whole, rest) if separator else None
    if "content-length" not in headers and status >= 200 and not ended:
        return None  # It goes on until the connection is closed.
    length = int(headers.get("content-length", len(rest)))
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length], rest[length:])
