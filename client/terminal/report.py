"""A report as people like to read it on a terminal. Pure: from the report's JSON to rich texts."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from .words import STATUS_STYLES, count, counted, percent, plain, shortened, status_word

BAR_CELLS = 30
EIGHTHS = " ▏▎▍▌▋▊▉"
UNEXPLAINED = "▒"
BAR_STYLE, EVIDENCE_STYLE, DIM = "magenta", "default", "bright_black"
MOST_BARS = 15
QUOTE_CHARACTERS = 180
WIDEST = 92
ALL = 1_000


def report_lines(report: dict[str, Any], *, noun: str, width: int, details: int) -> list[Text]:
    """The report; ``noun`` names its documents (tickets), ``details`` causes are told in full."""
    width = min(max(width, 60), WIDEST)
    lines: list[Text] = []
    if not report["complete"]:
        lines += [Text("Incomplete: the job still runs, figures will move.", "yellow"), Text()]
    if report.get("causes") is not None:
        lines += _analysis(report, noun, width, details)
    else:
        lines += _answer(report, width)
    return [*lines, *_failures(report, width)]


# ── analyze ───────────────────────────────────────────────────────────────────────────────────────


def _analysis(report: dict[str, Any], noun: str, width: int, details: int) -> Iterator[Text]:
    causes = [cause for cause in report["causes"] if cause.get("documents")]
    if not causes:
        yield from wrapped(report["summary"], width)
        for cause in report["causes"]:
            yield Text(f"    {plain(cause['title'])}")
        return
    yield _headline(report, causes, noun)
    yield Text()
    yield from _bars(report, causes, width)
    yield Text()
    for cause in causes[:details]:
        yield from _cause(cause, width)
        yield Text()
    yield from wrapped(_method(report, causes), width)


def _headline(report: dict[str, Any], causes: list[dict[str, Any]], noun: str) -> Text:
    explained = sum(cause["documents"] for cause in causes)
    total = explained + _unexplained(report)
    explains = "cause explains" if len(causes) == 1 else "causes explain"
    told = f"{len(causes)} {explains} {count(explained)} of {count(total)} {noun}"
    return Text(f"{told} ({percent(explained / total)})", "bold")


def _bars(report: dict[str, Any], causes: list[dict[str, Any]], width: int) -> Iterator[Text]:
    apart = _unexplained(report)
    largest = max([apart, *(cause["documents"] for cause in causes)])
    total = apart + sum(cause["documents"] for cause in causes)
    for cause in causes[:MOST_BARS]:
        cells = Text(eighths(cause["documents"] / largest), BAR_STYLE)
        number = cause["documents"]
        yield from _bar_line(f"{cause['rank']:>2}", cells, number, total, cause["title"], width)
    if rest := causes[MOST_BARS:]:
        number = sum(cause["documents"] for cause in rest)
        yield from _bar_line("", Text(f"{len(rest)} smaller causes"), number, total, "", width)
    if apart:
        cells = Text(UNEXPLAINED * max(1, round(BAR_CELLS * apart / largest)), DIM)
        yield from _bar_line("", cells, apart, total, "not explained", width)


def _bar_line(
    rank: str, cells: Text, number: int, total: int, title: str, width: int
) -> Iterator[Text]:
    """One bar with its figures; a long title goes on below itself, never cut."""
    cells.pad_right(BAR_CELLS - cells.cell_len)
    line = Text(f"{rank:>2}  ").append_text(cells)
    line.append(f"{count(number):>6}  {percent(number / total):>6}  ")
    indent = line.cell_len
    pieces = textwrap.wrap(plain(title), max(width - indent, 20)) or [""]
    yield line.append(pieces[0])
    for piece in pieces[1:]:
        yield Text(" " * indent + piece)


def eighths(share: float) -> str:
    """A bar of up to 30 cells, drawn to an eighth of a cell; never nothing."""
    steps = max(1, round(share * BAR_CELLS * 8))
    return "█" * (steps // 8) + EIGHTHS[steps % 8].strip()


def _cause(cause: dict[str, Any], width: int) -> Iterator[Text]:
    number = cause["documents"]
    head = Text(f"{cause['rank']:>2}  ").append(plain(cause["title"]), "bold")
    yield head.append(f"   {count(number)} · {percent(cause['share'])}", DIM)
    if cause.get("explanation"):
        yield from wrapped(cause["explanation"], width, indent=4)
    evidence = cause.get("evidence") or []
    column = max((len(plain(piece["id"])) for piece in evidence), default=0) + 6
    for piece in evidence[:2]:
        quote = f"“{shortened(piece['text'], QUOTE_CHARACTERS)}”"
        first, *more = textwrap.wrap(quote, width - column) or [""]
        yield Text(f"    {plain(piece['id'])}".ljust(column), "cyan").append(first, EVIDENCE_STYLE)
        yield from (Text(" " * column + piece) for piece in more)
    keywords = cause.get("keywords") or []
    told = str(cause.get("explanation", "")).casefold()
    if not all(str(word).casefold() in told for word in keywords[:4]):
        yield from wrapped("words: " + ", ".join(map(plain, keywords[:8])), width, 4, DIM)


def _unexplained(report: dict[str, Any]) -> int:
    return int((report.get("unexplained") or {}).get("documents", 0))


def _method(report: dict[str, Any], causes: list[dict[str, Any]]) -> str:
    """Who named the causes, and who found how many there are."""
    names = [str(cause.get("labelled_by") or "keywords") for cause in causes]
    models = sorted(set(names) - {"keywords"})
    fallen_back = names.count("keywords")
    told = f"Names by {', '.join(models)}" if models else "Names made of keywords"
    if models and fallen_back:
        told += f"; {fallen_back} of {len(names)} fell back to keywords"
    method = report.get("method") or {}
    found = f"{len(causes)} {'cause' if len(causes) == 1 else 'causes'} found by the program"
    if method.get("embedding_model"):
        found += f" from {plain(method['embedding_model'])} vectors"
    if isinstance(method.get("score"), int | float):
        found += f" (silhouette {method['score']:.2f})"
    return f"{told}. {found}."


# ── the other types ───────────────────────────────────────────────────────────────────────────────


def _answer(report: dict[str, Any], width: int) -> Iterator[Text]:
    yield from wrapped(report.get("answer") or report["summary"], width)
    for number, piece in enumerate(report.get("evidence") or [], 1):
        ids = ", ".join(map(plain, (piece.get("document_ids") or [])[:20]))
        told = shortened(piece.get("text", ""), QUOTE_CHARACTERS)
        yield from wrapped(f"[{number}] {told}" + (f" ({ids})" if ids else ""), width, 4)
    if report.get("note"):
        yield Text()
        yield from wrapped(report["note"], width, 0, DIM)
    for group in report.get("errors_by_code") or []:
        told = f"{count(group['tasks'])} × {group['code']}: {group['message']}"
        yield from wrapped(told, width, 4, "red")
    for output in report.get("outputs") or []:
        yield _output(output, width)
    if report.get("results"):
        yield Text("results   ", DIM).append(f"daef results {report['job']}", "cyan")


def _output(output: dict[str, Any], width: int) -> Text:
    style = STATUS_STYLES.get(output["status"], "red")
    line = Text(f"    {shortened(output['name'] or output['task'], 24):<24}  ")
    line.append(f"{status_word(output['status']):<12}", style)
    result = output.get("result")
    told = f"artifact {output['sha256'][:12]}…" if output.get("sha256") else json.dumps(result)
    return line.append(shortened(told, max(width - 44, 20)))


def _failures(report: dict[str, Any], width: int) -> Iterator[Text]:
    failures = report.get("failures") or []
    if failures:
        yield Text()
        yield Text(f"{counted(len(failures), 'task')} failed", "red")
    for failure in failures[:5]:
        told = f"{failure['task']}  {failure['code']}: {failure['message']}"
        yield Text(f"    {shortened(told, width - 4)}")
    if len(failures) > 5:
        yield Text(f"    and {count(len(failures) - 5)} more", DIM)


def wrapped(text: object, width: int, indent: int = 0, style: str = "") -> Iterator[Text]:
    """A paragraph in lines of this width."""
    for line in textwrap.wrap(plain(text), width - indent) or [""]:
        yield Text(" " * indent + line, style)
