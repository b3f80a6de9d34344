"""Files come and go: a blob in chunks, addressed by its content, and the name users give it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, Final
from uuid import UUID

from access.models import Tenant
from jobs.actions.transactions import in_transaction
from jobs.models import Artifact, ArtifactChunk, File

CHUNK_BYTES: Final = 256 * 1024
"""What one row holds; the same chunks go to agents."""

CHUNKS_AT_ONCE: Final = 8
"""Chunks in memory at once: 2 MiB, whatever the file's size."""


def store_file(
    *,
    stream: BinaryIO,
    tenant: Tenant,
    uid: UUID,
    name: str,
    media_type: str,
    purpose: str,
    now: datetime,
) -> File:
    """Store what `stream` holds, from its start, as a file of the tenant."""
    sha256, size = _digest(stream)
    return _store(stream, tenant, uid, name, media_type, purpose, now, sha256, size)


def delete_file(*, file: File) -> None:
    """Take the file off its tenant's list; retention removes content that nothing refers to."""
    File.objects.filter(pk=file.pk).delete()


@in_transaction
def _store(
    stream: BinaryIO,
    tenant: Tenant,
    uid: UUID,
    name: str,
    media_type: str,
    purpose: str,
    now: datetime,
    sha256: str,
    size: int,
) -> File:
    artifact = Artifact(
        tenant_id=tenant.pk, sha256=sha256, size_bytes=size, media_type=media_type, created_at=now
    )
    Artifact.objects.bulk_create([artifact], ignore_conflicts=True)
    for rows in _batches(stream, tenant.pk, sha256):
        ArtifactChunk.objects.bulk_create(rows, ignore_conflicts=True)
    return File.objects.create(
        uid=uid,
        tenant=tenant,
        name=name,
        purpose=purpose,
        media_type=media_type,
        sha256=sha256,
        size_bytes=size,
        created_at=now,
    )


def _digest(stream: BinaryIO) -> tuple[str, int]:
    stream.seek(0)
    digest = hashlib.sha256()
    size = 0
    while block := stream.read(CHUNK_BYTES):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _batches(stream: BinaryIO, tenant_id: int, sha256: str) -> Iterator[list[ArtifactChunk]]:
    stream.seek(0)
    number = 0
    rows: list[ArtifactChunk] = []
    while block := stream.read(CHUNK_BYTES):
        rows.append(ArtifactChunk(tenant_id=tenant_id, sha256=sha256, number=number, data=block))
        number += 1
        if len(rows) == CHUNKS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows
