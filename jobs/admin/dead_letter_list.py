"""The list of dead letters: which are asked for, their causes, and the tasks of one cause."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import QueryDict

from access.models import Tenant
from jobs.admin.job_list import MOST_TENANTS, named_job
from jobs.admin.job_page import task_address
from jobs.queries.dead_letter_pages import (
    Place,
    count_to,
    error_codes,
    newest_dead_letters,
)
from jobs.queries.dead_letters import DeadLetterFilter, list_causes
from jobs.queries.overview import COUNTED_TO

PAGE_ROWS: Final = 50
MOST_CAUSES: Final = 50
PERIODS: Final = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 h", timedelta(hours=24)),
    "7d": ("last 7 days", timedelta(days=7)),
}
"""How far back one may look, by its word in the address."""

PLACE = re.compile(r"([0-9]{1,17})\.([0-9]{1,18})", re.ASCII)
OFFSET = re.compile(r"[0-9]{1,5}", re.ASCII)
FILTERS: Final = ("tenant", "job", "error_code", "cause", "since")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Wish:
    """What the list is narrowed to; empty strings leave it whole.

    ``cause`` is a fingerprint, and opens the tasks of that cause; ``since`` a key of ``PERIODS``.
    ``before`` is the place of the last task of the page before, ``skip`` tells how many
    causes were shown.
    """

    tenant: str = ""
    job: str = ""
    error_code: str = ""
    cause: str = ""
    since: str = ""
    before: Place | None = None
    skip: int = 0

    def query(self, **changes: object) -> str:
        """Return the address of the same list with these changes, from its beginning."""
        query = QueryDict(mutable=True)
        for name in (*FILTERS, "before", "skip"):
            if value := changes.get(name, getattr(self, name) if name in FILTERS else ""):
                query[name] = str(value)
        return "?" + query.urlencode()

    def fields(self) -> dict[str, str]:
        """Return the filters that are set, as a form carries them."""
        return {name: value for name in FILTERS if (value := getattr(self, name))}

    def filter(self, *, now: datetime) -> DeadLetterFilter:
        """Return the filter of the queries."""
        period = PERIODS.get(self.since)
        return DeadLetterFilter(
            tenant=self.tenant or None,
            job=(named_job(self.job) or self.job) if self.job else None,
            error_code=self.error_code or None,
            cause=self.cause or None,
            since=now - period[1] if period else None,
        )


def parse_wish(query: QueryDict) -> Wish:
    """Return what an address or a form asks for."""
    texts = {name: query.get(name, "").replace("\0", "").strip()[:63] for name in FILTERS}
    skip = query.get("skip", "")
    return Wish(
        **{**texts, "since": texts["since"] if texts["since"] in PERIODS else ""},
        before=_place(query.get("before", "")),
        skip=int(skip) if OFFSET.fullmatch(skip) else 0,
    )


def list_page(wish: Wish, *, now: datetime) -> dict[str, Any]:
    """Return what the list shows; a constant number of statements, whatever there is."""
    wanted = wish.filter(now=now)
    found = list_causes(wanted, limit=MOST_CAUSES, offset=wish.skip)
    shown = wish.skip + len(found["items"])
    return {
        "wish": wish,
        "groups": [_group(cause, wish) for cause in found["items"]],
        "causes": found["total"],
        "more": wish.query(skip=shown) if shown < found["total"] else None,
        "first": wish.query() if wish.skip or wish.before else None,
        "total": count_to(wanted, most=COUNTED_TO + 1),
        "oldest": min((cause["first"] for cause in found["items"]), default=None),
        "opened": _opened(wish, wanted),
        "all_causes": wish.query(cause=""),
        "tenants": list(Tenant.objects.values_list("name", flat=True)[:MOST_TENANTS]),
        "codes": error_codes(),
        "periods": [(key, word) for key, (word, _) in PERIODS.items()],
        "as_of": now,
    }


def _group(cause: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    return {
        **cause,
        "address": wish.query(cause=cause["fingerprint"]),
        "fields": {**wish.fields(), "cause": cause["fingerprint"]},
    }


def _opened(wish: Wish, wanted: DeadLetterFilter) -> dict[str, Any] | None:
    """The tasks of the cause that was opened."""
    if not wish.cause:
        return None
    page = newest_dead_letters(wanted, before=wish.before, limit=PAGE_ROWS)
    return {
        "tasks": [{**task, "address": task_address(task["task"])} for task in page.items],
        "older": wish.query(before=_place_text(page.last)) if page.last else None,
    }


def _place(text: str) -> Place | None:
    match = PLACE.fullmatch(text)
    if match is None:
        return None
    return Place(EPOCH + timedelta(microseconds=int(match[1])), int(match[2]))


def _place_text(place: Place) -> str:
    return f"{(place.buried_at - EPOCH) // timedelta(microseconds=1)}.{place.task}"
