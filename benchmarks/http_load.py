"""Requests over a fixed number of kept connections, by a client that costs next to nothing.

A general HTTP client needs more processor time for a request than the gateway does, on the same
two cores. This one sends bytes made beforehand and reads the status and the body's length.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

RECEIVE_BYTES = 65_536


class Refused(Exception):
    """A request was not answered with the status that was asked for."""


class Connection:
    """One kept connection to the gateway, with at most one request under way."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def post(self, path: str, body: bytes) -> None:
        """Send a POST; its answer is read by ``answer``."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode("ascii") + body)

    def get(self, path: str) -> bytes:
        """The body of the answer to a GET."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode("ascii"))
        return self.wait(200)

    def wait(self, status: int) -> bytes:
        """The body of the answer under way, however long it takes."""
        while (body := self.answer(status)) is None:
            pass
        return body

    def answer(self, status: int) -> bytes | None:
        """Read once; the body when the answer is whole by now. Raises Refused."""
        received = self.socket.recv(RECEIVE_BYTES)
        if not received:
            raise Refused("the connection was closed")
        self._received += received
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < (length := _length(head)):
            return None
        self._received = b""
        if int(head[9:12]) != status:
            raise Refused(f"{head[:20]!r}: {body[:300]!r}")
        return body[:length]

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def post_all(url: str, path: str, bodies: Sequence[bytes], connections: int) -> float:
    """Seconds until each body was answered 201, over so many connections at once."""
    left = iter(bodies)
    with selectors.DefaultSelector() as selector:
        began = time.monotonic()
        opened = [Connection(url) for _ in range(connections)]
        try:
            for connection in opened:
                connection.post(path, next(left))
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            while selector.get_map():
                for key, _ in selector.select():
                    _go_on(selector, key.data, path, left)
            return time.monotonic() - began
        finally:
            for connection in opened:
                connection.close()


def _go_on(selector: selectors.BaseSelector, connection: Connection, path: str, left: Any) -> None:
    if connection.answer(201) is None:
        return
    body = next(left, None)
    if body is None:
        selector.unregister(connection.socket)
    else:
        connection.post(path, body)


def as_json(document: object) -> bytes:
    """The document's bytes."""
    return msgspec.json.encode(document)
