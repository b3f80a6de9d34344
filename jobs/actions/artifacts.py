"""What running tasks read and write beside their result: inputs, parents, blobs, log lines."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

import msgspec
from django.utils import timezone

from jobs.actions.fleet import Share
from jobs.actions.transactions import in_transaction
from jobs.errors import BodyTooLarge, LeaseNotHeld, NotFound
from jobs.models import Artifact, ArtifactChunk, Task, TaskInput
from jobs.queries.artifacts import read_chunks
from jobs.transitions import artifacts, workers

CHUNK_BYTES = 256 * 1024
"""What one row holds and one message carries."""

CHUNKS_AT_ONCE = 8
"""Chunks in memory at once: 2 MiB, whatever the blob's size."""

MAX_ARTIFACT_BYTES = 256 * 2**20
PARENTS_PAGE = 200
MAX_LINES = 100
MAX_LINE = 500


def read(owner: int, share: Share, name: str) -> Iterator[bytes]:
    """Chunks of what a task may read under its lease: ``input``, ``parents`` or a blob's SHA-256.

    Raises LeaseNotHeld when the share is not held, NotFound when there is no such blob.
    """
    require_share(owner, share)
    if name == "input":
        data = TaskInput.objects.values_list("input", flat=True).get(task_id=share.task_id)
        yield from _cut(data.encode())
    elif name == "parents":
        yield from _gathered(_parents(share.task_id))
    else:
        tenant = Task.objects.values_list("tenant_id", flat=True).get(pk=share.task_id)
        if not Artifact.objects.filter(tenant_id=tenant, sha256=name).exists():
            raise NotFound(f"there is no artifact {name!r}")
        yield from read_chunks(tenant, name)


def require_share(owner: int, share: Share) -> None:
    """Raise LeaseNotHeld unless the worker holds this share now."""
    if tuple(share) not in workers.shares_held(owner, [share.task_id]):
        raise LeaseNotHeld()


def write(owner: int, share: Share, media_type: str, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Store a blob for the task's tenant; returns its SHA-256 and size.

    Raises LeaseNotHeld, or BodyTooLarge beyond 256 MiB.
    """
    require_share(owner, share)
    tenant = Task.objects.values_list("tenant_id", flat=True).get(pk=share.task_id)
    with tempfile.SpooledTemporaryFile(max_size=2 * 2**20) as spool:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > MAX_ARTIFACT_BYTES:
                raise BodyTooLarge(f"an artifact may have {MAX_ARTIFACT_BYTES} bytes")
            spool.write(chunk)
        return store_blob(
            stream=spool,  # type: ignore[arg-type]  # has all of BinaryIO that is used
            tenant=tenant,
            media_type=media_type or "application/octet-stream",
            now=timezone.now(),
        )


@in_transaction
def store_blob(*, stream: BinaryIO, tenant: int, media_type: str, now: datetime) -> tuple[str, int]:
    """Store what ``stream`` holds from its start; the same content is stored once a tenant."""
    sha256, size = _digest(stream)
    artifact = Artifact(
        tenant_id=tenant, sha256=sha256, size_bytes=size, media_type=media_type, created_at=now
    )
    Artifact.objects.bulk_create([artifact], ignore_conflicts=True)
    for rows in _batches(stream, tenant, sha256):
        ArtifactChunk.objects.bulk_create(rows, ignore_conflicts=True)
    return sha256, size


@in_transaction
def append_log(owner: int, lines: Sequence[tuple[int, int, str]]) -> None:
    """Keep log lines of running tasks: one line each, bounded in length and number."""
    cleaned = [
        (task, epoch, " ".join(text.replace("\x00", "").split())[:MAX_LINE])
        for task, epoch, text in lines[: MAX_LINES * 10]
    ]
    artifacts.append_lines(owner, cleaned, most=MAX_LINES)


def _parents(task: int) -> Iterator[bytes]:
    after = 0
    while page := artifacts.parents_page(task, after=after, page=PARENTS_PAGE):
        for row in page:
            yield _parent_line(*row[1:])
        after = page[-1][0]


def _parent_line(
    name: str,
    kind: str,
    status: str,
    result: str | None,
    sha256: str | None,
    code: str | None,
    message: str | None,
) -> bytes:
    line: dict[str, object] = {"name": name, "kind": kind, "status": status}
    if sha256:
        line["sha256"] = sha256
    elif result is not None:
        line["result"] = msgspec.Raw(result.encode())
    if code:
        line["error"] = {"code": code, "message": message or ""}
    return msgspec.json.encode(line) + b"\n"


def _gathered(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines joined to chunks, so that many short ones are not a message each."""
    buffer = bytearray()
    for line in lines:
        buffer += line
        while len(buffer) >= CHUNK_BYTES:
            yield bytes(buffer[:CHUNK_BYTES])
            del buffer[:CHUNK_BYTES]
    if buffer:
        yield bytes(buffer)


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def _digest(stream: BinaryIO) -> tuple[str, int]:
    stream.seek(0)
    digest = hashlib.sha256()
    size = 0
    while block := stream.read(CHUNK_BYTES):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _batches(stream: BinaryIO, tenant: int, sha256: str) -> Iterator[list[ArtifactChunk]]:
    stream.seek(0)
    rows: list[ArtifactChunk] = []
    number = 0
    while block := stream.read(CHUNK_BYTES):
        rows.append(ArtifactChunk(tenant_id=tenant, sha256=sha256, number=number, data=block))
        number += 1
        if len(rows) == CHUNKS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows
