"""The fabric's REST API, through the Python client; its calls run in threads."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import quote

from client import Client
from client.errors import NotFound
from kube.reconcile.job import MOST_FAILURES, UID_LABEL

Document = dict[str, Any]
Answer = TypeVar("Answer")

CALLS = 16
"""Calls under way at once."""

PATIENCE_SECONDS = 5.0
"""How long one call is repeated; after that the resource's turn comes again later."""

MOST_INLINE_BYTES = 900_000
"""Larger bodies have their documents uploaded first: REST takes 1 MiB."""


class NotLeading(Exception):
    """A call was not begun, since this process may no longer lead."""


class Fabric:
    """Jobs, declarations and the fleet. Raises errors of ``client``."""

    def __init__(self) -> None:
        self._client = Client(retry_seconds=PATIENCE_SECONDS)
        self._may_act: Callable[[], bool] = lambda: True
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="fabric")

    def guard(self, may_act: Callable[[], bool]) -> None:
        """Begin no call any more where this says no."""
        self._may_act = may_act

    def close(self) -> None:
        """Close the connections once the calls under way have ended."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    async def _call(self, function: Callable[..., Answer], *given: Any, **named: Any) -> Answer:
        def guarded() -> Answer:
            if not self._may_act():
                raise NotLeading("The Lease may be another's by now.")
            return function(*given, **named)

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)

    async def submit(self, request: Document, key: str) -> Document:
        """Submit once per key, however often this is called."""
        body = await self._call(self._fitting, request, key)
        return await self._call(self._client.jobs.submit, body, idempotency_key=key)

    def _fitting(self, request: Document, key: str) -> Document:
        documents = request.get("documents")
        if documents is None or len(json.dumps(request)) <= MOST_INLINE_BYTES:
            return request
        lines = "".join(json.dumps(each) + "\n" for each in documents).encode()
        file = self._client.files.upload_stream(
            BytesIO(lines),
            "documents.jsonl",
            "application/x-ndjson",
            tenant=request["tenant"],
            idempotency_key=f"{key}-documents",
        )
        rest = {name: value for name, value in request.items() if name != "documents"}
        return {**rest, "file_id": file["id"]}

    async def job(self, name: str) -> Document | None:
        """The job, None where there is none."""
        try:
            return await self._call(self._client.jobs.get, name)
        except NotFound:
            return None

    async def job_of(self, uid: str) -> Document | None:
        """The job that was submitted for the resource of this uid."""
        page = await self._call(self._client.jobs.list, label=f"{UID_LABEL}={uid}", limit=1)
        return next(iter(page["items"]), None)

    async def act(self, name: str, action: str) -> Document:
        """``cancel``, ``suspend`` or ``resume`` the job; each may be repeated."""
        return await self._call(getattr(self._client.jobs, action), name)

    async def failures(self, name: str) -> list[Document]:
        """The first tasks that were given up."""
        page = await self._call(
            self._client.jobs.tasks, name, status="DeadLettered", limit=MOST_FAILURES
        )
        return list(page["items"])

    async def declare(self, collection: str, name: str, spec: Document, reason: str) -> Document:
        """Have the fabric hold the object as the spec says."""
        path = f"/v1/admin/{collection}/{quote(name, safe='')}"
        body = {"spec": spec, "reason": reason}
        return await self._call(self._client.transport.json, "PUT", path, json=body)

    async def declared(self, collection: str, name: str) -> Document | None:
        """The object as the fabric holds it, None where there is none."""
        path = f"/v1/admin/{collection}/{quote(name, safe='')}"
        try:
            found: Document = await self._call(self._client.transport.json, "GET", path)
        except NotFound:
            return None
        return found

    async def workers(self, pool: str) -> list[Document]:
        """The pool's agents that have not left."""
        page = await self._call(
            self._client.transport.json,
            "GET",
            "/v1/admin/workers",
            params={"pool": pool, "limit": "1000"},
        )
        return list(page["items"])

    async def waiting_tasks(self, pool: str) -> int:
        """Tasks of the pool that could run or back off."""
        figures = await self._call(self._client.transport.json, "GET", "/v1/metrics")
        depth = next(each for each in figures["metrics"] if each["name"] == "daef_queue_depth")
        return int(
            sum(each["value"] for each in depth["samples"] if each["labels"]["pool"] == pool)
        )
