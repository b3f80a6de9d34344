"""The Python client: jobs and files of one fabric. Documents are the API's own JSON, as dicts."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import quote

from .errors import ServerFailed, Unreachable
from .events import END, POLLED, Event, parse_events
from .settings import Settings
from .transport import Transport

Document = dict[str, Any]
"""A JSON object as the API answers it."""

JOB_ENDS = frozenset({"Succeeded", "PartiallySucceeded", "Failed", "Cancelled"})
"""Job statuses that change only by a retry."""

STREAM_TRIES = 4
"""Connections without one event in a row before events are polled for instead."""

POLL_SECONDS = 1.0


class Client:
    """A fabric's API: ``jobs`` and ``files``. Use it as a context manager, or close it.

    ``base_url`` and ``token`` default to DAEF_URL and DAEF_TOKEN; ``retry_seconds`` is how long a
    request is repeated while the fabric is away or asks to wait. Raises errors of this package.
    """

    def __init__(
        self,
        base_url: str = "",
        token: str = "",
        *,
        retry_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        settings = Settings.read(url=base_url, token=token)
        self.transport = Transport(
            settings.url, settings.token, retry_seconds=retry_seconds, sleep=sleep
        )
        self.jobs = Jobs(self.transport, sleep)
        self.files = Files(self.transport)

    @property
    def base_url(self) -> str:
        """The fabric's address, without a slash at its end."""
        return self.transport.base_url

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Jobs:
    """Everything about jobs; ``job`` is a job's id (``job-7``) or uid everywhere."""

    def __init__(self, transport: Transport, sleep: Callable[[float], None]) -> None:
        self._transport, self._sleep = transport, sleep

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str = "") -> Document:
        """Submit a job and return it. ``request`` is the API's submit body.

        One key stands for one job however often the connection breaks; a fresh one by default.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._json("POST", "/v1/jobs", json=dict(request), headers=headers)

    def plan(self, request: Mapping[str, Any]) -> Document:
        """What the job would be made of, and cost; nothing is written."""
        return self._json("POST", "/v1/jobs", json=dict(request), params={"dry_run": "true"})

    def get(self, job: str) -> Document:
        """The job with its progress, usage, cost and reason."""
        return self._json("GET", f"/v1/jobs/{_segment(job)}")

    def list(self, **filters: Any) -> Document:
        """A page of jobs, newest first; filters as the API's (status, type, limit, offset, …)."""
        return self._json("GET", "/v1/jobs", params=_given(filters))

    def tasks(self, job: str, **filters: Any) -> Document:
        """A page of the job's tasks; filters ``status, worker, limit, offset``."""
        return self._json("GET", f"/v1/jobs/{_segment(job)}/tasks", params=_given(filters))

    def task(self, job: str, task: str) -> Document:
        """One task with its attempts, log, input and result."""
        return self._json("GET", f"/v1/jobs/{_segment(job)}/tasks/{_segment(task)}")

    def report(self, job: str) -> Document:
        """What the job found; while it runs, what is there so far with ``complete`` false."""
        return self._json("GET", f"/v1/jobs/{_segment(job)}/report")

    def rendered_report(self, job: str, form: str) -> str:
        """The report as ``markdown`` or ``html`` text."""
        path = f"/v1/jobs/{_segment(job)}/report"
        return self._transport.send("GET", path, params={"format": form}, headers=_ANYTHING).text

    def results(self, job: str) -> Iterator[str]:
        """Lines of JSON, one per task in input order, read while they come.

        Raises Unreachable where the fabric could not go on in the middle.
        """
        path = f"/v1/jobs/{_segment(job)}/results"
        with self._transport.stream(path, headers=_ANYTHING) as response:
            for line in response.iter_lines():
                if line.startswith(_BROKEN_OFF):
                    raise Unreachable("The results ended before their end; ask for them again.")
                yield line

    def explain(self, job: str) -> Document:
        """Why the job is where it is, and what would change that."""
        return self._json("GET", f"/v1/jobs/{_segment(job)}/explain")

    def cancel(self, job: str) -> Document:
        """Cancel the job; its running tasks are stopped."""
        return self._act(job, "cancel")

    def suspend(self, job: str) -> Document:
        """Start no new task of the job; running ones finish."""
        return self._act(job, "suspend")

    def resume(self, job: str) -> Document:
        """Let a suspended job go on."""
        return self._act(job, "resume")

    def retry(self, job: str) -> Document:
        """Open the job's dead-lettered tasks again; returns ``{"job", "reopened"}``."""
        return self._act(job, "retry")

    def wait(self, job: str, *, timeout: float | None = None) -> Document:
        """Return the job once it has ended. Raises TimeoutError after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.1
        while (found := self.get(job))["status"] not in JOB_ENDS:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{job} is still {found['status']} after {timeout:g} s")
            self._sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS)
        return found

    def events(self, job: str, *, after: str = "") -> Iterator[Event]:
        """What happens to the job, from its first event (or beyond ``after``) to its end.

        A broken stream is resumed behind the last event; where the fabric has no stream to spare
        the job is polled instead, and each change is one event of kind ``polled``.
        """
        failures = 0
        while failures < STREAM_TRIES:
            try:
                for event in self._stream(job, after):
                    failures, after = 0, event.id or after
                    yield event
                    if event.kind == END:
                        return
            except ServerFailed:
                break
            except Unreachable:
                pass
            self._sleep(0.25 * 2**failures)
            failures += 1
        yield from self._polled(job)

    def _stream(self, job: str, after: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        path = f"/v1/jobs/{_segment(job)}/events"
        with self._transport.stream(path, headers=headers) as response:
            yield from parse_events(response.iter_lines())

    def _polled(self, job: str) -> Iterator[Event]:
        seen: object = None
        while True:
            found = self.get(job)
            state = (found["status"], found["reason"], found["progress"])
            if state != seen:
                yield Event(POLLED, found)
                seen = state
            if found["status"] in JOB_ENDS:
                yield Event(END, {"status": found["status"], "reason": found["reason"]})
                return
            self._sleep(POLL_SECONDS)

    def _act(self, job: str, action: str) -> Document:
        return self._json("POST", f"/v1/jobs/{_segment(job)}/{action}", json={})

    def _json(self, method: str, path: str, **request: Any) -> Document:
        answer: Document = self._transport.json(method, path, **request)
        return answer


class Files:
    """Inputs that are too large for a request, and what is stored of them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, path: Path, *, media_type: str = "", tenant: str = "") -> Document:
        """Upload a JSONL or CSV file; the answer's ``id`` is a job's ``file_id``."""
        with path.open("rb") as stream:
            kind = media_type or _media_type(path.name)
            return self.upload_stream(stream, path.name, kind, tenant=tenant)

    def upload_stream(
        self,
        stream: BinaryIO,
        name: str,
        media_type: str,
        *,
        tenant: str = "",
        idempotency_key: str = "",
    ) -> Document:
        """As ``upload``, from an open binary stream (read whole: it may have to be sent again)."""
        answer: Document = self._transport.json(
            "POST",
            "/v1/files",
            files={"file": (name, stream.read(), media_type)},
            params=_given({"tenant": tenant}),
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        )
        return answer

    def find(self, sha256: str, tenant: str) -> Document | None:
        """The tenant's newest file with this content among the last thousand files, or None."""
        wanted = (sha256, tenant)
        files = self.list(limit=1000)["items"]
        return next((one for one in files if (one["sha256"], one["tenant"]) == wanted), None)

    def list(self, **filters: Any) -> Document:
        """A page of files, newest first."""
        answer: Document = self._transport.json("GET", "/v1/files", params=_given(filters))
        return answer


_ANYTHING = {"Accept": "*/*"}
_BROKEN_OFF = '{"error":'
"""How the line of results begins that says there should be more; a task's begins with its id."""


def _media_type(name: str) -> str:
    return "text/csv" if name.lower().endswith(".csv") else "application/x-ndjson"


def _given(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value not in (None, "")}


def _segment(identifier: str) -> str:
    """The id as one segment of a path; it can never reach another address."""
    return quote(identifier, safe="")
