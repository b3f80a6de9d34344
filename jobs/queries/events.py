"""What happened to a job, in order, from any point on."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from jobs.models import Job
from jobs.queries.formats import moment, select, stored_json
from jobs.states import JOB_ENDS, task_name

# Ids are given out before the commit: an event counts as settled when every transaction that
# was open at its writing has ended, so that no lower id can appear behind a reader's back.
AFTER = """
select id, kind, happened_at, actor, task_ids, details::text as details,
    age(xmin) > age((pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        %% 4294967296)::text::xid) as settled
from job_event where job_id = %(job)s and id > %(after)s order by id limit %(limit)s
"""


def events_after(job_id: int, after: int, *, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Return up to `limit` events beyond the id `after`, and whether more may follow at once.

    No event that becomes visible later has a lower id than one that was returned.
    """
    rows = select(AFTER, {"job": job_id, "after": after, "limit": limit})
    settled = [_document(row) for row in takewhile(lambda row: row["settled"], rows)]
    return settled, len(settled) < len(rows) or len(rows) == limit


def end_of(job_id: int) -> dict[str, Any] | None:
    """Return how the job ended, or None while it is open."""
    job = Job.objects.filter(pk=job_id).values("status", "reason").first()
    if job is None:
        return {}
    return {**job} if job["status"] in JOB_ENDS else None


def _document(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "at": moment(row["happened_at"]),
        "actor": row["actor"],
        "tasks": [task_name(task) for task in row["task_ids"]],
        "details": stored_json(row["details"]),
    }
