"""Documents from files on this side: CSV, JSON lines, a JSON list, or a folder of texts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import Usage

Document = dict[str, Any]
"""``{"id", "text"}``; JSON documents may bear ``metadata`` besides."""

TEXT_COLUMNS = ("text", "body", "message", "content")
"""Columns that are taken for the text when none is named, in this order."""

MAX_FIELD_CHARACTERS = 1_000_000


def read_documents(path: Path, *, text_column: str = "", id_column: str = "") -> list[Document]:
    """The documents of a file or folder, in order; ids are ``doc-1``, … where there are none.

    ``.csv`` reads one per row, ``.jsonl``/``.ndjson`` one per line, ``.json`` a list, ``.txt`` is
    one document, a folder one per ``.txt`` file by name. Raises Usage that says what is wrong.
    """
    if not path.exists():
        raise Usage(f"{path} does not exist.")
    documents = list(_read(path, text_column, id_column))
    if not documents:
        raise Usage(f"{path} holds no document.")
    return documents


def _read(path: Path, text_column: str, id_column: str) -> Iterator[Document]:
    if path.is_dir():
        return _folder(path)
    ending = path.suffix.lower()
    text = _text(path)
    if ending == ".csv":
        return _csv(path, text, text_column, id_column)
    if ending in (".jsonl", ".ndjson"):
        return _json_lines(path, text)
    if ending == ".json":
        return _json_list(path, text)
    if ending == ".txt":
        return iter([{"id": path.stem, "text": text}])
    raise Usage(f"{path}: write a .csv, .jsonl, .json or .txt file, or a folder of .txt files.")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Usage(f"{path} is not UTF-8 (byte {error.start}); convert it first.") from error


def _folder(path: Path) -> Iterator[Document]:
    for file in sorted(path.glob("*.txt")):
        if (text := _text(file)).strip():
            yield {"id": file.stem, "text": text}


def _csv(path: Path, text: str, text_column: str, id_column: str) -> Iterator[Document]:
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = list(reader.fieldnames or [])
        texts = _column(path, header, "--text-column", text_column, TEXT_COLUMNS)
        ids = _column(path, header, "--id-column", id_column, ("id",), needed=False)
        for number, row in enumerate(reader, 1):
            if (row.get(texts) or "").strip():
                yield {"id": (row.get(ids) if ids else None) or f"doc-{number}", "text": row[texts]}
    except csv.Error as error:
        raise Usage(f"{path}, line {reader.line_num}: {error}.") from error


def _column(
    path: Path,
    header: list[str],
    option: str,
    asked: str,
    usual: tuple[str, ...],
    *,
    needed: bool = True,
) -> str:
    if asked in header and asked:
        return asked
    found = next((name for name in usual if name in header), "")
    if not asked and (found or not needed):
        return found
    has = ", ".join(header) or "none (its first line is empty)"
    problem = f"has no column {asked!r}" if asked else "has no column that is surely the text"
    raise Usage(f"{path} {problem}; name one with {option}. Its columns: {has}.")


def _json_lines(path: Path, text: str) -> Iterator[Document]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _document(
                f"{path}, line {number}", _parsed(f"{path}, line {number}", line), number
            )


def _json_list(path: Path, text: str) -> Iterator[Document]:
    items = _parsed(str(path), text)
    if not isinstance(items, list):
        raise Usage(f"{path}: write a JSON list of texts or of {{'id', 'text'}} objects.")
    for number, item in enumerate(items, 1):
        yield _document(f"{path}, item {number}", item, number)


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Usage(f"{where} is not JSON: {error}.") from error


def _document(where: str, item: Any, number: int) -> Document:
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise Usage(f'{where}: write a text or {{"id": "…", "text": "…"}}.')
    # What else the object holds is the caller's own; the API takes these three.
    kept = {name: item[name] for name in ("text", "metadata") if name in item}
    return {"id": str(item.get("id") or f"doc-{number}"), **kept}
