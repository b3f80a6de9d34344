"""``/v1/jobs/{job}/events``: server-sent events that can be taken up again where they broke off."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from jobs.api.base import ApiView
from jobs.api.operation import READ_PROBLEMS, Answer, Operation
from jobs.api.streams import Places
from jobs.errors import InvalidRequest
from jobs.queries.events import end_of, events_after
from jobs.queries.lookup import find_job

MAX_STREAMS: Final = 32
"""Streams a process serves at once: each holds a thread (contract)."""

POLL_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 5.0
EVENTS_AT_ONCE: Final = 200
EVENT_ID = re.compile(r"[0-9]{1,18}", re.ASCII)

log = logging.getLogger(__name__)
PLACES: Final = Places(
    MAX_STREAMS,
    f"This process serves {MAX_STREAMS} event streams already; poll the job or come back later.",
)


class EventsView(ApiView):
    """Each event has an `id`; send the last one as `Last-Event-ID` to go on behind it.

    A comment comes every 5 s while nothing happens; `event: end` closes the stream of an ended job.
    """

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {
        "get": Operation(
            "Follow a job",
            (Answer(shape="StreamedEvent", media_types=("text/event-stream",)),),
            problems=READ_PROBLEMS,
            headers=("Last-Event-ID",),
        ),
    }

    def get(self, request: Request, job: str) -> HttpResponseBase:
        """Open a stream; 503 with Retry-After when this process serves enough of them."""
        after = _last_event(request)
        found = find_job(job, self.actor)
        PLACES.take()
        response = StreamingHttpResponse(
            EventStream(found.pk, after), content_type="text/event-stream; charset=utf-8"
        )
        response["Cache-Control"] = "no-store"
        response["X-Accel-Buffering"] = "no"
        return response


class EventStream:
    """The chunks of one stream; `close` gives its place back, also when it was never begun."""

    def __init__(self, job_id: int, after: int) -> None:
        self._job_id = job_id
        self._after = after
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except (OperationalError, InterfaceError):
            # The client comes back by itself with the id of the last event that it saw.
            log.warning("event stream of job %s broke off: the database is away", self._job_id)
        finally:
            self.close()

    def close(self) -> None:
        """End the stream; may be called by anyone, any number of times."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        PLACES.give_back()

    def _chunks(self) -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        quiet_since = time.monotonic()
        while not self._closed.is_set():
            events, more, end = self._poll()
            for event in events:
                self._after = event["id"]
                yield _frame(event["kind"], event, identifier=event["id"])
            if end is not None and not more:
                yield _frame("end", end)
                return
            if events:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                quiet_since = time.monotonic()
                yield b": still here\n\n"
            self._closed.wait(POLL_SECONDS)

    def _poll(self) -> tuple[list[dict[str, Any]], bool, dict[str, Any] | None]:
        """Read once. The end is asked for first: what was written before it is then seen."""
        try:
            end = end_of(self._job_id)
            events, more = events_after(self._job_id, self._after, limit=EVENTS_AT_ONCE)
            return events, more, end
        finally:
            # A stream sleeps nearly always: its thread must not keep a connection for that.
            if not connection.in_atomic_block:
                connection.close()


def _last_event(request: Request) -> int:
    # The server gives bytes that are no text as an empty header.
    given = request.META.get("HTTP_LAST_EVENT_ID", "0").strip()
    if EVENT_ID.fullmatch(given) is None:
        raise InvalidRequest.field("Last-Event-ID", "send the id of an event, a whole number")
    return int(given)


def _frame(kind: str, data: dict[str, Any], identifier: int | None = None) -> bytes:
    head = b"" if identifier is None else b"id: %d\n" % identifier
    return head + b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
