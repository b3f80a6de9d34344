"""A report as one HTML file: no script, no network, readable on paper and in the dark. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any

import msgspec

from jobs.queries.rendering.style import STYLE
from jobs.queries.rendering.words import (
    confidence,
    documents_of,
    headline,
    how_it_was_made,
    percent,
    what_it_cost,
)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHOWN_IDS = 200


def render_html(report: dict[str, Any]) -> str:
    """Return the report as a page; everything that models and documents said is escaped."""
    return "\n".join(_lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    title = escape(headline(report))
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
    status = escape(report["status"])
    yield f'<h1>{title}</h1><p class="quiet">{report["job"]} · {escape(report["type"])} · '
    yield f'<span class="badge {status.lower()}">{status}</span></p>'
    yield from _warnings(report)
    yield from _lead(report)
    yield from _causes(report)
    yield from _unexplained(report)
    yield from _outputs(report)
    yield '<div class="pair">'
    yield from _facts("How it was made", how_it_was_made(report))
    yield from _facts("What it cost", what_it_cost(report))
    yield "</div>"
    digest = sha256(msgspec.json.encode(report)).hexdigest()
    asked = sha256(report["input"].encode()).hexdigest()
    yield f'<footer class="quiet">SHA-256 of the input {asked}<br>of the report {digest}</footer>'
    yield "</main></body></html>"


def _warnings(report: dict[str, Any]) -> Iterator[str]:
    if not report["complete"]:
        progress = report["progress"]
        ended = progress["succeeded"] + progress["dead_lettered"] + progress["cancelled"]
        yield f'<p class="card amber">Incomplete: {ended} of {progress["total"]} tasks have '
        yield "ended; figures will move.</p>"
    if report["failures"]:
        yield '<section class="card amber"><h2>Failures</h2><ul>'
        for failure in report["failures"]:
            yield f"<li><code>{failure['task']}</code> {escape(failure['code'])}: "
            yield f"{escape(failure['message'])}</li>"
        yield "</ul></section>"


def _lead(report: dict[str, Any]) -> Iterator[str]:
    yield f'<section class="card"><p class="lead">{escape(report["summary"])}</p>'
    explained, total = documents_of(report)
    if total and report["complete"]:
        yield f'<div class="bar whole"><span style="width:{100 * explained / total:.2f}%"></span>'
        yield f'</div><p class="quiet">explained {explained} · not explained {total - explained} '
        yield "· every document is in exactly one place</p>"
    if report.get("answer") and report["answer"] != report["summary"]:
        yield f'<h2>Answer</h2><p class="text">{escape(report["answer"])}</p>'
    if report.get("note"):
        yield f'<p class="quiet">{escape(report["note"])}</p>'
    yield "</section>"
    if report.get("evidence"):
        yield '<section class="card"><h2>Evidence</h2><ol>'
        for piece in report["evidence"]:
            ids = ", ".join(piece["document_ids"][:SHOWN_IDS])
            yield f'<li>{escape(str(piece["text"]))} <span class="quiet">{escape(ids)}</span></li>'
        yield "</ol></section>"


def _causes(report: dict[str, Any]) -> Iterator[str]:
    causes = report.get("causes") or []
    if not causes:
        return
    _, total = documents_of(report)
    if report["complete"] and total:
        yield from _ranking(report, causes, total)
        yield "<h2>Evidence</h2>"
    else:
        yield "<h2>Causes so far</h2>"
    for index, cause in enumerate(causes):
        yield from _cause(index, cause, total)


def _ranking(report: dict[str, Any], causes: list[dict[str, Any]], total: int) -> Iterator[str]:
    largest = max(cause.get("documents", 0) for cause in causes) or 1
    yield '<section class="card"><h2>Causes by size '
    yield f'<small class="quiet">documents, share of {total}</small></h2><table>'
    for index, cause in enumerate(causes):
        count = cause.get("documents", 0)
        title = f'<a href="#c{index + 1}">{escape(str(cause.get("title", "")))}</a>'
        yield _ranked(str(cause.get("rank", "")), title, count, largest, total, "bar")
    rest = (report.get("unexplained") or {}).get("documents", 0)
    if rest:
        yield _ranked("", "Not explained", rest, largest, total, "bar rest")
    yield "</table></section>"


def _ranked(rank: str, title: str, count: int, largest: int, total: int, kind: str) -> str:
    width = min(100.0, 100 * count / largest)
    bar = f'<div class="{kind}"><span style="width:{width:.2f}%"></span></div>'
    return (
        f'<tr><td class="quiet">{escape(rank)}</td><th scope="row">{title}</th><td>{bar}</td>'
        f'<td class="number"><b>{count}</b> {percent(count / total)}</td></tr>'
    )


def _cause(index: int, cause: dict[str, Any], total: int) -> Iterator[str]:
    yield f'<section class="card" id="c{index + 1}"><h3>'
    if cause.get("rank"):
        yield f'<span class="rank">{escape(str(cause["rank"]))}</span> '
    yield f"{escape(str(cause.get('title', '')))}</h3>"
    if cause.get("documents"):
        yield f'<p class="quiet">{cause["documents"]} of {total} · '
        yield f"{percent(cause.get('share', 0.0))} · title by "
        yield f"{escape(str(cause.get('labelled_by', '')))}</p>"
    yield f"<p>{escape(str(cause.get('explanation', '')))}</p>"
    for piece in cause.get("evidence") or []:
        yield f"<blockquote>{escape(str(piece.get('text', '')))}<br>"
        yield f"<code>{escape(str(piece.get('id', '')))}</code> {_typical(piece.get('score'))}"
        yield "</blockquote>"
    words = "".join(f"<li>{escape(str(word))}</li>" for word in cause.get("keywords") or [])
    yield f'<ul class="words">{words}</ul>'
    yield from _members(cause)
    yield "</section>"


def _members(cause: dict[str, Any]) -> Iterator[str]:
    ids = cause.get("document_ids") or []
    if not ids:
        return
    yield f"<details><summary>Confidence {confidence(cause.get('confidence'))} · all "
    yield f'{len(ids)} documents</summary><p class="quiet">{_ids(ids)}</p></details>'


def _typical(score: Any) -> str:
    return f'<span class="quiet">typical {score:.2f}</span>' if isinstance(score, float) else ""


def _ids(ids: list[Any]) -> str:
    shown = ", ".join(escape(str(identifier)) for identifier in ids[:SHOWN_IDS])
    return shown + (f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else "")


def _unexplained(report: dict[str, Any]) -> Iterator[str]:
    unexplained = report.get("unexplained") or {}
    if unexplained.get("documents"):
        yield '<section class="card"><h2>What was not explained</h2><p>These stand alone or '
        yield "between two causes. Nothing was forced into a cause to make the share larger.</p>"
        yield f'<p class="quiet">{_ids(unexplained.get("document_ids") or [])}</p></section>'


def _outputs(report: dict[str, Any]) -> Iterator[str]:
    if report.get("outputs"):
        yield '<section class="card"><h2>Outputs</h2><table>'
        for output in report["outputs"]:
            text = msgspec.json.encode(output["result"]).decode()[:2000]
            yield f'<tr><th scope="row">{escape(str(output["name"]))}</th>'
            yield f"<td>{escape(output['status'])}</td><td><code>{escape(text)}</code></td></tr>"
        yield "</table></section>"


def _facts(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f'<section class="card"><h2>{title}</h2><dl>'
    for name, value in rows:
        yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"
    yield "</dl></section>"
