"""The documents of a job: given in the request, or read from an uploaded JSONL or CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from access.actors import Actor
from jobs.errors import DaefError, FieldError, InvalidRequest
from jobs.models import File
from jobs.planner.request import MAX_DOCUMENTS, Document, JobRequest, parse_json
from jobs.queries.artifacts import read_blob
from jobs.queries.files import find_tenant_file

MAX_ERRORS: Final = 20
MAX_FIELD_CHARACTERS: Final = 1_000_000
CSV_TYPE: Final = "text/csv"


class _LineError(ValueError):
    """What is wrong with one line; the message is the remedy."""


def file_documents(request: JobRequest, tenant: str, actor: Actor) -> Sequence[Document]:
    """Return the documents of the request's `file_id`.

    Raises InvalidRequest that names the line, NotFound when the tenant has no such file.
    """
    file = find_tenant_file(str(request.file_id), tenant, actor)
    text = _text(file)
    if file.media_type == CSV_TYPE:
        return read_csv(text, request.parameters)
    return read_json_lines(text)


def read_json_lines(text: str) -> list[Document]:
    """Read a document per line: ``{"id", "text", "metadata"}``, ``{"text"}`` or a JSON string."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return _collect(lines, _json_document)


def read_csv(text: str, parameters: dict[str, Any]) -> list[Document]:
    """Read a document per row; ``parameters.text_column`` and ``id_column`` name the columns."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise _refusal([FieldError("line 1", f"cannot be read as CSV: {error}")]) from None
    texts = _column(header, parameters, "text_column", "text")
    ids = _column(header, parameters, "id_column", "id" if "id" in header else None)
    return _collect(_rows(reader), lambda row, line: _csv_document(row, line, texts, ids))


def _text(file: File) -> str:
    try:
        text = read_blob(file.tenant_id, file.sha256).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest.field(
            "file_id", f"the file is not UTF-8 at byte {error.start}; convert it"
        ) from None
    if "\x00" in text:
        raise InvalidRequest.field("file_id", "the file holds NUL characters; leave them out")
    return text


def _column(
    header: list[str], parameters: dict[str, Any], parameter: str, default: str | None
) -> int | None:
    name = parameters.get(parameter, default)
    if name is None:
        return None
    if isinstance(name, str) and header.count(name) == 1:
        return header.index(name)
    shown = ", ".join(column[:40] for column in header[:20]) or "none (the first line is empty)"
    raise InvalidRequest.field(
        f"parameters.{parameter}", f"must name one column of the CSV's header; it has: {shown}"
    )


def _rows(reader: Any) -> Iterator[tuple[int, Any]]:
    """Yield rows with their line numbers; a broken one comes as the error and ends the reading."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, _LineError(f"cannot be read as CSV: {error}")
            return
        if row:
            yield reader.line_num, row


def _collect(lines: Iterator[tuple[int, Any]], read: Any) -> list[Document]:
    documents: list[Document] = []
    errors: list[FieldError] = []
    first_line: dict[str, int] = {}
    for number, line in lines:
        try:
            document = read(line, len(documents) + 1)
            if (earlier := first_line.setdefault(document.id, number)) != number:
                raise _LineError(f"repeats the id of line {earlier}; ids must be unique")
            documents.append(document)
        except _LineError as error:
            errors.append(FieldError(f"line {number}", str(error)))
        if len(documents) > MAX_DOCUMENTS:
            raise InvalidRequest.field("file_id", f"more than {MAX_DOCUMENTS:,} documents; split")
        if len(errors) == MAX_ERRORS:
            break
    if errors:
        raise _refusal(errors)
    if not documents:
        raise InvalidRequest.field("file_id", "the file holds no document")
    return documents


def _json_document(line: str, position: int) -> Document:
    try:
        value = parse_json(line.encode())
    except DaefError as error:
        raise _LineError(error.detail) from None
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise _LineError('write {"id": "…", "text": "…"} or a JSON string')
    if unknown := sorted(set(value) - {"id", "text", "metadata"}):
        raise _LineError(f"unknown field {unknown[0][:60]!r}; known: id, text, metadata")
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _LineError("metadata must be an object")
    return _document(value.get("id"), value["text"], metadata, position)


def _csv_document(row: Any, position: int, texts: int | None, ids: int | None) -> Document:
    if isinstance(row, _LineError):
        raise row
    wanted = max(texts or 0, ids or 0)
    if len(row) <= wanted:
        raise _LineError(f"has {len(row)} columns; column {wanted + 1} is needed")
    return _document(None if ids is None else row[ids], row[texts or 0], {}, position)


def _document(given: Any, text: str, metadata: dict[str, Any], position: int) -> Document:
    identifier = f"doc-{position}" if given is None else given
    if not isinstance(identifier, str) or not 0 < len(identifier) <= 255:
        raise _LineError("id must be text of 1 to 255 characters")
    if not text.strip():
        raise _LineError("text is empty")
    return Document(id=identifier, text=text, metadata=metadata)


def _refusal(errors: list[FieldError]) -> InvalidRequest:
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    return InvalidRequest(f"The file cannot be used. {detail}", fields=errors)
