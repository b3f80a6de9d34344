"""Reading stored blobs, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.models import ArtifactChunk


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
