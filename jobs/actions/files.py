"""Files come and go: a blob in chunks, addressed by its content, and the name users give it."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from access.models import Tenant
from jobs.actions.artifacts import store_blob
from jobs.models import File


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
    sha256, size = store_blob(stream=stream, tenant=tenant.pk, media_type=media_type, now=now)
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


def delete_file(*, file: File) -> None:
    """Take the file off its tenant's list; retention removes content that nothing refers to."""
    File.objects.filter(pk=file.pk).delete()
