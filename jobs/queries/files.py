"""Files as the API shows them, and finding the caller's own."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from access.actors import Actor
from jobs.errors import NotFound
from jobs.models import File
from jobs.queries.formats import moment, page
from jobs.queries.lookup import missing, owned_tenants

FILE_NAME = re.compile(r"file-([0-9a-f]{32})", re.ASCII)


def file_document(file: File) -> dict[str, Any]:
    """Return a file without its content."""
    return {
        "id": f"file-{file.uid.hex}",
        "name": file.name,
        "purpose": file.purpose,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "tenant": file.tenant.name,
        "created_at": moment(file.created_at),
    }


def list_files(actor: Actor, *, limit: int, offset: int) -> dict[str, Any]:
    """Return one page of the caller's files, newest first."""
    files = File.objects.select_related("tenant").filter(**owned_tenants(actor))
    rows = [file_document(file) for file in files.order_by("-id")[offset : offset + limit]]
    return page(rows, total=files.count(), limit=limit, offset=offset)


def find_file(identifier: str, actor: Actor) -> File:
    """Return the caller's file with this id; NotFound when it is not there or not the caller's."""
    match = FILE_NAME.fullmatch(identifier)
    if match is None:
        raise missing()
    found = File.objects.select_related("tenant").filter(
        uid=UUID(hex=match[1]), **owned_tenants(actor)
    )
    file = found.first()
    if file is None:
        raise missing()
    return file


def find_tenant_file(identifier: str, tenant: str, actor: Actor) -> File:
    """Return a file for a job of `tenant`; files never cross tenants, even with one caller."""
    file = find_file(identifier, actor)
    if file.tenant.name != tenant:
        raise NotFound(f"The tenant '{tenant}' has no file '{identifier}'.")
    return file
