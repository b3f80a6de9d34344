"""The list of jobs: which ones are asked for, one page of them, and the counts on its chips."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import QueryDict

from access.actors import SYSTEM
from access.models import Tenant
from jobs.admin.words import BADGES
from jobs.models import Job
from jobs.queries.formats import select
from jobs.queries.jobs import job_documents
from jobs.queries.lookup import JOB_NAME, MAX_JOB, UID, visible_jobs
from jobs.queries.overview import COUNTED_TO
from jobs.states import JOB_ENDS, PRIORITIES, JobStatus

PAGE_ROWS: Final = 50
MOST_TENANTS: Final = 200
ACTIVE: Final = "active"
TROUBLED: Final = "troubled"
TROUBLE: Final = (JobStatus.FAILED, JobStatus.PARTIALLY_SUCCEEDED)
TYPES: Final = ("analyze", "batch", "chat", "embed", "pipeline")

# Which jobs count does not depend on how many there are: the newest so many.
CHIPS = """
select status, count(*)::int as jobs
from (select status from job order by id desc limit %(most)s) newest group by status
"""


@dataclass(frozen=True)
class Wish:
    """What the list is narrowed to; empty strings leave it whole.

    ``before`` is the lowest job number of the page before, 0 for the first page. What cannot be
    meant (an unknown status, a misspelt number) is as if it had not been said.
    """

    status: str = ""
    type: str = ""
    priority: str = ""
    tenant: str = ""
    before: int = 0

    def query(self, **changes: object) -> str:
        """Return the address of the same list with these changes; a new filter starts anew."""
        query = QueryDict(mutable=True)
        for name in ("status", "type", "priority", "tenant", "before"):
            kept = getattr(self, name) if name != "before" else 0
            if value := changes.get(name, kept):
                query[name] = str(value)
        return "?" + query.urlencode()

    @property
    def narrowed(self) -> bool:
        """Whether anything was asked for."""
        return any((self.status, self.type, self.priority, self.tenant))


def parse_wish(query: QueryDict) -> Wish:
    """Return what the address asks for."""
    statuses = {ACTIVE, TROUBLED, *JobStatus}
    before = query.get("before", "")
    small = before.isascii() and before.isdigit() and len(before) <= len(str(MAX_JOB))
    return Wish(
        status=_known(query.get("status", ""), statuses),
        type=_known(query.get("type", ""), TYPES),
        priority=_known(query.get("priority", ""), PRIORITIES),
        tenant=query.get("tenant", "").replace("\0", "")[:63],
        before=int(before) if small else 0,
    )


def named_job(text: str) -> str | None:
    """Return the job's id or uid that was typed into the search, tidied, or None."""
    wanted = text.strip().lower()
    if wanted.isascii() and wanted.isdigit():
        wanted = f"job-{wanted}"
    return wanted if JOB_NAME.fullmatch(wanted) or UID.fullmatch(wanted) else None


def job_page(wish: Wish, *, now: datetime) -> dict[str, Any]:
    """Return one page of jobs, newest first, and everything round it.

    Six statements, whatever the number of rows.
    """
    rows = list(_wanted(wish)[: PAGE_ROWS + 1])
    more, rows = len(rows) > PAGE_ROWS, rows[:PAGE_ROWS]
    return {
        "wish": wish,
        "jobs": job_documents(rows, now=now),
        "chips": _chips(wish),
        "older": wish.query(before=rows[-1].pk) if more else None,
        "newest": wish.query() if wish.before else None,
        "types": TYPES,
        "priorities": tuple(PRIORITIES),
        "tenants": list(Tenant.objects.values_list("name", flat=True)[:MOST_TENANTS]),
        "as_of": now,
    }


def _wanted(wish: Wish) -> QuerySet[Job]:
    jobs = visible_jobs(SYSTEM).order_by("-id").defer("input")
    if wish.status == ACTIVE:
        jobs = jobs.filter(finished_at__isnull=True)
    elif wish.status == TROUBLED:
        jobs = jobs.filter(status__in=TROUBLE)
    elif wish.status:
        jobs = jobs.filter(status=wish.status)
    if wish.type:
        jobs = jobs.filter(type=wish.type)
    if wish.priority:
        jobs = jobs.filter(priority=PRIORITIES[wish.priority])
    if wish.tenant:
        jobs = jobs.filter(tenant__name=wish.tenant)
    return jobs.filter(id__lt=wish.before) if wish.before else jobs


def _chips(wish: Wish) -> list[dict[str, Any]]:
    """Return the filters by status, each with its count among the newest jobs."""
    counts = {row["status"]: row["jobs"] for row in select(CHIPS, {"most": COUNTED_TO + 1})}
    active = sum(count for status, count in counts.items() if status not in JOB_ENDS)
    troubled = sum(counts.get(status, 0) for status in TROUBLE)
    chips = [("", "All", sum(counts.values())), (ACTIVE, "Active", active)]
    chips += [(TROUBLED, "Needs a look", troubled)]
    chips += [(status, BADGES[status].word, counts.get(status, 0)) for status in JobStatus]
    return [
        {
            "word": word,
            "jobs": "10k+" if jobs > COUNTED_TO else f"{jobs:,}",
            "address": wish.query(status=value),
            "chosen": wish.status == value,
        }
        for value, word, jobs in chips
    ]


def _known(value: str, values: Any) -> str:
    return value if value in values else ""
