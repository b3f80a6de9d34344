"""The audit log in the console: which entries are asked for, one page of them, and one entry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from access.models import Tenant
from audit.chain import START, Entry, digest
from audit.checks import status
from audit.events import Action, Door, Result
from audit.export import AuditFilter, newest_first
from audit.models import ACTOR_CHARACTERS, TENANT_CHARACTERS, AuditEntry
from jobs.actions.requeue import SEVERAL_TENANTS
from jobs.admin.job_list import MOST_TENANTS
from jobs.admin.job_page import task_address
from jobs.queries.lookup import JOB_NAME, TASK_NAME

PAGE_ROWS: Final = 50
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
CAUSE = re.compile(r"[0-9a-f]{16}", re.ASCII)
WORKER = re.compile(r"worker-([0-9]{1,18})", re.ASCII)
FILTERS: Final = ("action", "result", "tenant", "actor", "from", "to")

DOORS: Final = {
    Door.REST: "REST",
    Door.GRPC: "gRPC",
    Door.COMMAND: "manage.py",
    Door.CONSOLE: "console",
    Door.INTERNAL: "the fabric itself",
}


@dataclass(frozen=True)
class Wish:
    """What the log is narrowed to, as it was typed; ``wrong`` names the times nobody can read.

    ``before`` is the lowest number of the page before, None for the first page.
    """

    texts: dict[str, str]
    filter: AuditFilter
    wrong: tuple[str, ...] = ()
    before: int | None = None

    def query(self, **changes: object) -> str:
        """Return the address of the same view with these changes, from its beginning."""
        query = QueryDict(mutable=True)
        for name in (*FILTERS, "before"):
            if value := changes.get(name, self.texts.get(name, "")):
                query[name] = str(value)
        return "?" + query.urlencode()


def parse_wish(query: QueryDict) -> Wish:
    """Return what the address asks for; an unknown word is as if it had not been said."""
    texts = {name: query.get(name, "").replace("\0", "").strip() for name in FILTERS}
    texts["action"] = texts["action"] if texts["action"] in set(Action) else ""
    texts["result"] = texts["result"] if texts["result"] in set(Result) else ""
    texts["tenant"] = texts["tenant"][:TENANT_CHARACTERS]
    texts["actor"] = texts["actor"][:ACTOR_CHARACTERS]
    times = {name: _time(texts[name][:40]) for name in ("from", "to")}
    before = query.get("before", "")
    return Wish(
        texts,
        AuditFilter(
            action=texts["action"] or None,
            result=texts["result"] or None,
            tenant=texts["tenant"] or None,
            actor=texts["actor"] or None,
            since=times["from"],
            until=times["to"],
        ),
        tuple(name for name, time in times.items() if texts[name] and time is None),
        int(before) if NUMBER.fullmatch(before) else None,
    )


def list_page(wish: Wish) -> dict[str, Any]:
    """Return one page of entries, newest first, and how the chain stands."""
    rows = list(newest_first(wish.filter, before=wish.before, limit=PAGE_ROWS + 1))
    more, rows = len(rows) > PAGE_ROWS, rows[:PAGE_ROWS]
    return {
        "wish": wish,
        "texts": wish.texts,
        "entries": [entry_row(row) for row in rows],
        "chain": status(),
        "actions": [action.value for action in Action],
        "results": [result.value for result in Result],
        "tenants": list(Tenant.objects.values_list("name", flat=True)[:MOST_TENANTS]),
        "narrowed": any(wish.texts.values()),
        "older": wish.query(before=rows[-1].number) if more else None,
        "newest": wish.query() if wish.before is not None else None,
        "csv": reverse("admin:audit_csv") + wish.query(),
    }


def entry_row(entry: Entry) -> dict[str, Any]:
    """Return an entry as the list shows it."""
    return {
        **entry._asdict(),
        "word": entry.action.replace("_", " "),
        "via": DOORS.get(Door(entry.door), entry.door),
        "on": f"cause {entry.target}" if CAUSE.fullmatch(entry.target) else entry.target,
        "whose": "several tenants" if entry.tenant == SEVERAL_TENANTS else entry.tenant,
        "target_address": target_address(entry.target),
        "address_of_entry": reverse("admin:audit_auditentry_change", args=[entry.number]),
    }


def entry_page(number: int) -> dict[str, Any] | None:
    """Return one entry with its neighbours and whether it fits between them, None where none is."""
    around = {entry.number: entry for entry in map(Entry._make, _around(number))}
    entry = around.get(number)
    if entry is None:
        return None
    before, after = around.get(number - 1), around.get(number + 1)
    return {
        "entry": entry_row(entry),
        "details": entry.details,
        "fits": digest(entry) == entry.hash and entry.prev_hash == (before or START).hash,
        "before": before,
        "after": after,
    }


def target_address(target: str) -> str:
    """Return the page of what an entry is about; nothing where the console has none."""
    if JOB_NAME.fullmatch(target):
        return reverse("admin:jobs_job_change", args=[target])
    if TASK_NAME.fullmatch(target):
        return task_address(target)
    if CAUSE.fullmatch(target):
        return reverse("admin:jobs_deadletter_changelist") + f"?cause={target}"
    if match := WORKER.fullmatch(target):
        return reverse("admin:jobs_worker_change", args=[match[1]])
    return ""


def _around(number: int) -> QuerySet[AuditEntry, tuple[Any, ...]]:
    numbers = (number - 1, number, number + 1)
    return AuditEntry.objects.filter(number__in=numbers).values_list(*Entry._fields)


def _time(text: str) -> datetime | None:
    """Return a time as REST takes it, or as a browser's field has it: without zone it is UTC."""
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        return None
