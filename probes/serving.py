"""The two addresses, served from a thread of the process that is asked about."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from probes.signs import Signs

PATHS = ("/healthz", "/readyz")
"""Whether it lives, and whether it can work."""

PATIENCE_SECONDS = 5.0
"""How long a caller may take to ask: no probe waits longer than that."""


def serve(address: tuple[str, int], signs: Signs) -> ThreadingHTTPServer:
    """Answer probes on ``address`` from now on, until the process ends.

    Raises OSError where the port is taken or the host is not ours.
    """
    server = _server(address)(address, _handler(signs))
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server


def _server(address: tuple[str, int]) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        daemon_threads = True
        # Two processes on one port would answer for each other.
        allow_reuse_port = False

    return Server


def _handler(signs: Signs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_SECONDS
        answers: ClassVar = dict(zip(PATHS, (signs.alive, signs.ready), strict=True))

        def do_GET(self) -> None:
            answer = self.answers.get(self.path.partition("?")[0])
            status = 404 if answer is None else 200 if answer() else 503
            body = {200: b"ok\n", 503: b"not now\n"}.get(status, b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: a probe every few seconds would fill the log."""

    return Handler
