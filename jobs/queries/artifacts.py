"""Reading stored blobs, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jobs.errors import NotFound
from jobs.models import Artifact, ArtifactChunk, Task
from jobs.states import task_name


def read_chunks(tenant_id: int, sha256: str) -> Iterator[bytes]:
    """Yield a blob's chunks in order, one statement each, so that memory stays at one chunk."""
    number = 0
    while True:
        chunk = (
            ArtifactChunk.objects.filter(tenant_id=tenant_id, sha256=sha256, number__gte=number)
            .order_by("number")
            .values_list("number", "data")
            .first()
        )
        if chunk is None:
            return
        number = chunk[0] + 1
        yield bytes(chunk[1])


def read_blob(tenant_id: int, sha256: str) -> bytes:
    """Return a whole blob; for those whose size is known to be bounded."""
    return b"".join(read_chunks(tenant_id, sha256))


def result_artifact(task: int) -> Artifact:
    """Return the blob that a task's result is, or that its field ``artifact`` names.

    Raises NotFound where there is none (yet).
    """
    found = Task.objects.filter(pk=task).values("tenant_id", "result", "result_sha256").first()
    sha256 = (found["result_sha256"] or _named(found["result"])) if found else ""
    artifact = (
        Artifact.objects.filter(tenant_id=found["tenant_id"], sha256=sha256).first()
        if found and sha256
        else None
    )
    if artifact is None:
        raise NotFound(f"The task {task_name(task)} has no artifact; its result is in its results.")
    return artifact


def _named(result: str | None) -> str:
    value = msgspec.json.decode(result) if result else None
    named = value.get("artifact") if isinstance(value, dict) else None
    return named if isinstance(named, str) else ""
