"""Request bodies as they come in: a slow one holds a thread, so there are only so many places.

The server (granian) hands a request over when its headers are there; whoever reads the body waits
for the client. Sixty connections that send half a body would otherwise stop the whole gateway.
"""

import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.db import connection

from jobs.errors import MalformedBody, Unavailable

MAX_BODIES = 96
"""Bodies that a process waits for at once, of its 256 threads."""

MAX_BODIES_WITHOUT_POOL = 16
"""The same of the 64 threads that it has without a pool of database connections."""

FEW_BODIES = 8
"""So many may keep a database connection that their requests took before; the pool has 48."""

PATIENCE_SECONDS = 0.25
"""How long a request waits for a place: long beside a body that is there, short beside a stuck
one."""

RETRY_AFTER_SECONDS = 2
MAX_DESCRIPTORS = 65_536

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Source(Protocol):
    """The server's own input."""

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes; fewer only at the end, or where the connection was cut."""

    def readline(self, size: int = -1) -> bytes:
        """Return a line, or so many bytes of one."""


class Places:
    """Room for so many bodies that are waited for."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place. Raises Unavailable when none comes free."""
        if not self._free.acquire(timeout=PATIENCE_SECONDS):
            raise Unavailable(
                "This process waits for too many slow request bodies already; send yours again.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        try:
            if self._count(1) > FEW_BODIES and not connection.in_atomic_block:
                # Who waits for a client must not keep from others what they need.
                connection.close()
            yield
        finally:
            self._count(-1)
            self._free.release()

    def _count(self, change: int) -> int:
        with self._lock:
            self._taken += change
            return self._taken


class Body:
    """A WSGI input that takes a place while it waits and does not pass a cut body off as whole."""

    def __init__(self, source: Source, length: int, places: Places) -> None:
        self._source = source
        self._missing = length
        self._places = places

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes. Raises Unavailable or MalformedBody."""
        with self._places.take():
            return self._counted(self._source.read(size), size)

    def readline(self, size: int = -1) -> bytes:
        """Return a line. Raises Unavailable or MalformedBody."""
        with self._places.take():
            return self._counted(self._source.readline(size), size)

    def _counted(self, data: bytes, size: int) -> bytes:
        self._missing -= len(data)
        if not data and size and self._missing > 0:
            raise MalformedBody("The body ended before its Content-Length.")
        return data


def allow_connections() -> None:
    """Let this process have as many connections as the system allows, up to 65,536.

    Each is a descriptor, and many systems start processes with a thousand.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def with_places(application: Application, most: int) -> Application:
    """Return the application with the bodies of its requests behind `most` places."""
    places = Places(most)

    def bounded(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or "0"
        if length != "0":
            expected = int(length) if length.isascii() and length.isdigit() else 0
            environ["wsgi.input"] = Body(environ["wsgi.input"], expected, places)
        return application(environ, start_response)

    return bounded
