"""A tiny HTTP server that answers as told, for what no real model endpoint does on request."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Said:
    """One answer: status, body (JSON, or bytes as they are), headers, and a wait before it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0


@dataclass
class Scripted:
    """The running server's base URL and the requests it got: ``(path, headers, body)``."""

    base_url: str
    requests: list[tuple[str, dict[str, str], Any]]


@contextmanager
def scripted_server(answer: Callable[[str, Any], Said]) -> Iterator[Scripted]:
    """Serve ``answer(path, body)`` on a free loopback port until the block ends."""
    requests: list[tuple[str, dict[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            requests.append((self.path, dict(self.headers), body))
            said = answer(self.path, body)
            time.sleep(said.wait_seconds)
            data = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {**said.headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            # A client that gave up waiting has closed the connection.
            with suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield Scripted(f"http://127.0.0.1:{port}/v1", requests)
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    """A loopback port below the ephemeral range that nobody listens on."""
    for port in range(23_100, 23_900):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 23100 and 23900")


def chat_completion(text: str, *, usage: dict[str, int] | None = None) -> dict[str, Any]:
    """A chat answer in OpenAI's shape."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"object": "chat.completion", "choices": choices, **({"usage": usage} if usage else {})}
