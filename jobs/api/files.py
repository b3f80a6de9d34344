"""``/v1/files``: documents that are too large for a request body."""

from __future__ import annotations

import uuid
from typing import ClassVar, get_args

from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from access.tenants import resolve_tenant
from jobs.actions.files import delete_file, store_file
from jobs.api.base import ApiView, answer, now
from jobs.api.operation import READ_PROBLEMS, WRITE_PROBLEMS, Answer, Operation
from jobs.api.query import PAGE, TENANT, Choice, Text
from jobs.api.streams import in_pieces
from jobs.api.upload import FORM_TYPE, MAX_FILE_BYTES, PURPOSES, RAW_TYPES, FileType, received
from jobs.queries.artifacts import read_chunks
from jobs.queries.files import file_document, find_file, list_files


class FilesView(ApiView):
    """The caller's files. A file is JSON lines (`{"id", "text"}` or strings) or CSV with a header.

    Send it as the form field `file`, or as the body itself with its content type and `?name=`.
    """

    scope = "tenant"
    max_body_bytes = MAX_FILE_BYTES
    operations: ClassVar = {
        "get": Operation("List files, newest first", (Answer(shape="FileList"),), PAGE),
        "post": Operation(
            "Upload a file",
            (Answer(201, "File", headers=("Location",)),),
            {"name": Text(), "purpose": Choice(PURPOSES, PURPOSES[0]), "tenant": TENANT},
            WRITE_PROBLEMS,
            body_types=(*RAW_TYPES, FORM_TYPE),
            form="FileForm",
        ),
    }

    def get(self, request: Request) -> HttpResponse:
        """List files."""
        return self.answer_page(list_files(self.actor, **self.query))

    def post(self, request: Request) -> HttpResponse:
        """Store an upload."""
        with received(request, self.query) as upload:
            file = store_file(
                stream=upload.stream,
                tenant=resolve_tenant(upload.tenant, self.actor),
                uid=uuid.uuid4(),
                name=upload.name,
                media_type=upload.media_type,
                purpose=upload.purpose,
                now=now(),
            )
        document = file_document(file)
        response = answer(document, status=201)
        response["Location"] = f"/v1/files/{document['id']}"
        return response


class FileView(ApiView):
    """One file without its content."""

    scope = "tenant"
    operations: ClassVar = {
        "get": Operation("Look at a file", (Answer(shape="File"),)),
        "delete": Operation(
            "Delete a file", (Answer(204, media_types=()),), problems=READ_PROBLEMS
        ),
    }

    def get(self, request: Request, file: str) -> HttpResponse:
        """Answer the file."""
        return answer(file_document(find_file(file, self.actor)))

    def delete(self, request: Request, file: str) -> HttpResponse:
        """Delete the file."""
        delete_file(file=find_file(file, self.actor))
        return HttpResponse(status=204)


class FileContentView(ApiView):
    """A file's content as it was uploaded."""

    scope = "tenant"
    operations: ClassVar = {
        "get": Operation(
            "Download a file",
            (Answer(media_types=get_args(FileType), headers=("Content-Disposition",)),),
        ),
    }

    def get(self, request: Request, file: str) -> HttpResponseBase:
        """Stream the content, one chunk in memory at a time."""
        found = find_file(file, self.actor)
        response = in_pieces(read_chunks(found.tenant_id, found.sha256), found.media_type)
        response["Content-Length"] = str(found.size_bytes)
        response["Content-Disposition"] = f'attachment; filename="file-{found.uid.hex}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response
