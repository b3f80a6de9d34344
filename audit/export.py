"""Handing the audit log out: filters, and CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from audit.chain import Entry, time_text
from audit.models import AuditEntry
from audit.recorder import head

PAGE: Final = 1000

# OWASP, "CSV Injection", and ASVS 1.2.10: what makes a spreadsheet take a cell for a formula,
# in half and in full width.
FORMULA_STARTS: Final = tuple("=+-@\t\r\n\0＝＋－＠")


@dataclass(frozen=True)
class AuditFilter:
    """Which entries: None means any. ``since`` is the first moment meant, ``until`` is past it."""

    action: str | None = None
    result: str | None = None
    tenant: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """Return the filter for a query of entries."""
        wanted: dict[str, Any] = {
            "action": self.action,
            "result": self.result,
            "tenant": self.tenant,
            "actor": self.actor,
            "happened_at__gte": self.since,
            "happened_at__lt": self.until,
        }
        return Q(**{name: value for name, value in wanted.items() if value is not None})


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Return the CSV (RFC 4180) line by line: a header, then the entries."""
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(Entry._fields)
    for entry in entries:
        yield writer.writerow([neutral(cell) for cell in _cells(entry)])


def neutral(cell: str) -> str:
    """Return the cell so that a spreadsheet shows it instead of running it."""
    opening = cell.lstrip(" ")[:1] or cell[:1]
    return "'" + cell if opening and opening in FORMULA_STARTS else cell


def _cells(entry: Entry) -> list[str]:
    moment = time_text(entry.happened_at)
    return [moment if cell is entry.happened_at else str(cell) for cell in entry]


def oldest_first(wanted: AuditFilter) -> Iterator[Entry]:
    """Return all these entries, a page in memory at a time."""
    rows = _rows(wanted).order_by("number")
    page = list(rows[:PAGE])
    while page:
        yield from map(Entry._make, page)
        page = list(rows.filter(number__gt=page[-1][0])[:PAGE])


def newest_first(
    wanted: AuditFilter, *, before: int | None = None, offset: int = 0, limit: int | None = None
) -> Iterator[Entry]:
    """Return these entries behind the first ``offset``, at most ``limit``, paged as above.

    With ``before`` only those of lower numbers.
    """
    rows = _rows(wanted).order_by("-number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    first = PAGE if limit is None else min(PAGE, limit)
    page = list(rows[offset : offset + first])
    while page:
        yield from map(Entry._make, page[:limit])
        if limit is not None:
            limit = max(0, limit - len(page))
        page = [] if limit == 0 else list(rows.filter(number__lt=page[-1][0])[:PAGE])


def count_entries(wanted: AuditFilter) -> int:
    """Return how many there are; of all entries without counting, since numbers have no gaps."""
    if wanted == AuditFilter():
        return head().number
    return AuditEntry.objects.filter(wanted.condition()).count()


def _rows(wanted: AuditFilter) -> QuerySet[AuditEntry, tuple[Any, ...]]:
    return AuditEntry.objects.filter(wanted.condition()).values_list(*Entry._fields)


class _Line:
    """A file whose write gives the text back: csv.writer then makes lines without a buffer."""

    def write(self, text: str) -> str:
        return text
