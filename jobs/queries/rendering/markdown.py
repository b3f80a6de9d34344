"""A report as Markdown (CommonMark with tables). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from jobs.queries.rendering.words import (
    confidence,
    documents_of,
    headline,
    how_it_was_made,
    percent,
    what_it_cost,
)

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&])")
SHOWN_IDS = 50


def render_markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown; text of models and documents is escaped, never live markup."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"# {escape(headline(report))}"
    yield ""
    yield f"{report['job']} · {report['type']} · {report['status']}"
    yield ""
    if not report["complete"]:
        yield "**Incomplete:** the job still runs, figures will move."
        yield ""
    yield escape(report["summary"])
    yield ""
    yield from _answer(report)
    yield from _causes(report)
    yield from _unexplained(report)
    yield from _outputs(report)
    yield from _failures(report)
    yield from _table("How it was made", how_it_was_made(report))
    yield from _table("What it cost", what_it_cost(report))


def _answer(report: dict[str, Any]) -> Iterator[str]:
    if report.get("answer") and report["answer"] != report["summary"]:
        yield "## Answer"
        yield ""
        yield escape(report["answer"])
        yield ""
    if report.get("note"):
        yield f"> {escape(report['note'])}"
        yield ""
    if report.get("evidence"):
        yield "## Evidence"
        yield ""
        for number, piece in enumerate(report["evidence"], 1):
            ids = ", ".join(escape(identifier) for identifier in piece["document_ids"][:SHOWN_IDS])
            yield f"{number}. {escape(str(piece['text']))}" + (f" ({ids})" if ids else "")
        yield ""


def _causes(report: dict[str, Any]) -> Iterator[str]:
    causes = report.get("causes") or []
    if not causes:
        return
    _, total = documents_of(report)
    if report["complete"]:
        yield "## Causes by size"
        yield ""
        yield "| # | cause | documents | share |"
        yield "| ---: | --- | ---: | ---: |"
        for cause in causes:
            yield _cause_row(cause)
        yield ""
    yield "## Evidence" if report["complete"] else "## Causes so far"
    yield ""
    for cause in causes:
        yield from _cause(cause, total)


def _cause_row(cause: dict[str, Any]) -> str:
    rank, title = cause.get("rank", ""), escape(str(cause.get("title", "")))
    return (
        f"| {rank} | {title} | {cause.get('documents', 0)} | {percent(cause.get('share', 0.0))} |"
    )


def _cause(cause: dict[str, Any], total: int) -> Iterator[str]:
    rank = f"{cause['rank']}. " if cause.get("rank") else ""
    yield f"### {rank}{escape(str(cause.get('title', '')))}"
    yield ""
    if cause.get("documents"):
        sure = f"confidence {confidence(cause.get('confidence'))}"
        by = f"title by {escape(str(cause.get('labelled_by', '')))}"
        yield f"{cause['documents']} of {total} documents · {sure} · {by}"
        yield ""
    if cause.get("explanation"):
        yield escape(str(cause["explanation"]))
        yield ""
    for piece in cause.get("evidence") or []:
        yield f"> {escape(str(piece.get('text', '')))}"
        yield f"> — {escape(str(piece.get('id', '')))}"
        yield ""
    if cause.get("keywords"):
        yield "Keywords: " + ", ".join(escape(str(word)) for word in cause["keywords"])
        yield ""


def _unexplained(report: dict[str, Any]) -> Iterator[str]:
    unexplained = report.get("unexplained")
    if not unexplained or not unexplained.get("documents"):
        return
    ids = unexplained.get("document_ids") or []
    yield "## What was not explained"
    yield ""
    shown = ", ".join(escape(str(identifier)) for identifier in ids[:SHOWN_IDS])
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    yield f"{unexplained['documents']} documents stand alone or between causes: {shown}{more}"
    yield ""


def _outputs(report: dict[str, Any]) -> Iterator[str]:
    if not report.get("outputs"):
        return
    yield "## Outputs"
    yield ""
    for output in report["outputs"]:
        text = msgspec.json.encode(output["result"]).decode()[:2000]
        yield f"- {escape(str(output['name']))} ({output['status']}): {escape(text)}"
    yield ""


def _failures(report: dict[str, Any]) -> Iterator[str]:
    if not report["failures"]:
        return
    yield "## Failures"
    yield ""
    for failure in report["failures"]:
        yield f"- {failure['task']}: {escape(failure['code'])}: {escape(failure['message'])}"
    yield ""


def _table(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, value in rows:
        yield f"| {name} | {escape(value)} |"
    yield ""


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
