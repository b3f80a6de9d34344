"""Uploads: a form with a file, or the file itself as the body; on disk before a row is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, cast, get_args

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http.multipartparser import MultiPartParserError
from rest_framework.request import Request

from jobs.api.body import check_content_type
from jobs.errors import InvalidRequest, MalformedBody

MAX_FILE_BYTES: Final = 64 * 2**20
"""Largest upload (contract)."""

FORM_TYPE: Final = "multipart/form-data"
CSV_TYPE: Final = "text/csv"
JSON_LINES_TYPE: Final = "application/x-ndjson"
JSON_LINES_NAMES: Final = (JSON_LINES_TYPE, "application/jsonl", "application/jsonlines")
RAW_TYPES: Final = (*JSON_LINES_NAMES, CSV_TYPE)
BY_SUFFIX: Final = {".csv": CSV_TYPE, ".jsonl": JSON_LINES_TYPE, ".ndjson": JSON_LINES_TYPE}

READ_BYTES: Final = 256 * 1024
IN_MEMORY_BYTES: Final = 2**20
FilePurpose = Literal["documents", "batch"]
FileType = Literal["text/csv", "application/x-ndjson"]
"""How a file is kept and given back, whichever of its types' names it came under."""

PURPOSES: Final[tuple[FilePurpose, ...]] = get_args(FilePurpose)
FORM_FIELDS: Final = frozenset({"purpose", "tenant"})


@dataclass(frozen=True)
class Upload:
    """What was sent: `stream` can be read and wound back; the rest as the caller gave it."""

    stream: BinaryIO
    name: str
    media_type: str
    purpose: str
    tenant: str | None


@contextmanager
def received(request: Request, query: dict[str, Any]) -> Iterator[Upload]:
    """Give the upload of this request; its temporary file goes when the block ends.

    Raises UnsupportedMediaType, BodyTooLarge, MalformedBody or InvalidRequest.
    """
    media_type = check_content_type(request, (*RAW_TYPES, FORM_TYPE))
    if media_type == FORM_TYPE:
        upload = _from_form(request, query)
    else:
        upload = _from_body(request, query, media_type)
    with upload.stream:
        yield upload


def _from_body(request: Request, query: dict[str, Any], media_type: str) -> Upload:
    stream = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115
    size = _copy(request, stream)
    if not size:
        stream.close()
        raise MalformedBody("The body is empty: send the file's content.")
    kind = CSV_TYPE if media_type == CSV_TYPE else JSON_LINES_TYPE
    suffix = "csv" if kind == CSV_TYPE else "jsonl"
    name = query["name"] or f"upload.{suffix}"
    return Upload(stream, name, kind, query["purpose"], query["tenant"])


def _copy(request: Request, stream: BinaryIO) -> int:
    expected = int(request.META.get("CONTENT_LENGTH") or 0)
    size = 0
    while block := request._request.read(READ_BYTES):
        size += len(block)
        stream.write(block)
    if size < expected:
        stream.close()
        raise MalformedBody("The body ended before its Content-Length.")
    return size


def _from_form(request: Request, query: dict[str, Any]) -> Upload:
    plain = request._request
    plain.upload_handlers = [TemporaryFileUploadHandler(plain)]
    try:
        fields, files = plain.POST, plain.FILES
    except MultiPartParserError as error:
        raise MalformedBody(f"The form cannot be read: {error}") from None
    if list(files) != ["file"] or len(files.getlist("file")) != 1:
        raise InvalidRequest.field("file", "send exactly one form field 'file' with the content")
    if unknown := sorted(set(fields) - FORM_FIELDS):
        known = ", ".join(sorted(FORM_FIELDS))
        raise InvalidRequest.field(ascii(unknown[0][:60]), f"unknown form field; known: {known}")
    file = cast("UploadedFile[Any]", files["file"])
    if not file.size:
        raise InvalidRequest.field("file", "the file is empty")
    name = query["name"] or _name(file.name or "")
    media_type = _form_media_type(name, file.content_type or "")
    purpose = _field(fields, "purpose") or query["purpose"]
    if purpose not in PURPOSES:
        raise InvalidRequest.field("purpose", f"unknown; known: {', '.join(PURPOSES)}")
    return Upload(
        cast(BinaryIO, file), name, media_type, purpose, _field(fields, "tenant") or query["tenant"]
    )


def _field(fields: Any, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not (0 < len(value) <= 63 and value.isprintable()):
        raise InvalidRequest.field(name, "use 1 to 63 printable characters")
    return cast("str | None", value)


def _name(given: str) -> str:
    if not given or len(given) > 255 or not given.isprintable():
        raise InvalidRequest.field("file", "its name must be 1 to 255 printable characters")
    return given


def _form_media_type(name: str, content_type: str) -> str:
    for suffix, media_type in BY_SUFFIX.items():
        if name.lower().endswith(suffix):
            return media_type
    if content_type in RAW_TYPES:
        return CSV_TYPE if content_type == CSV_TYPE else JSON_LINES_TYPE
    raise InvalidRequest.field(
        "file", "name it .jsonl or .csv, or give its part the type application/x-ndjson or text/csv"
    )
