"""Workers as operators see them: what they hold, and whether they were heard of."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from jobs.actions.fleet import silent_seconds
from jobs.queries.formats import page, select
from jobs.queries.lookup import missing
from jobs.states import WorkerState, job_name, task_name

MOST_WORKERS: Final = 500
MOST_LEASES: Final = 200
ALL_WORKERS: Final = 10_000
"""More workers than any fabric has that live at the same time."""

WORKER_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

LOST: Final = "Lost"
"""A worker that has not left and was not heard of; judged at the moment, never stored."""

COLUMNS = """
select w.id, w.name, w.node, p.name as pool, w.slots, w.free_slots, w.state, w.version, w.kinds,
    w.model_names, w.incarnation, w.registered_at, w.heartbeat_at, n.name as tenant,
    extract(epoch from clock_timestamp() - w.heartbeat_at)::float as silent_seconds,
    coalesce(h.busy, 0)::int as busy, coalesce(h.leases, 0)::int as leases, h.oldest_at,
    extract(epoch from clock_timestamp() - h.oldest_at)::float as oldest_seconds
from worker w join pool p on p.id = w.pool_id left join tenant n on n.id = w.tenant_id
left join lateral (
    select count(*) as leases, sum(cardinality(task_ids)) as busy, min(granted_at) as oldest_at
    from lease where owner = w.id) h on true
"""

LIVING = f"""{COLUMNS} where w.state <> 'Gone'
    and (%(pool)s::text is null or p.name = %(pool)s)
order by p.name, w.name, w.id limit %(limit)s
"""

ONE = f"{COLUMNS} where w.id = %(id)s"

LEASES = """
select job_id, task_ids, granted_at, expires_at, close_at from lease where owner = %(id)s
order by granted_at limit %(limit)s
"""


def list_workers(*, pool: str | None = None) -> list[dict[str, Any]]:
    """Return the workers that have not left, of one pool or all; one statement."""
    return [_judged(row) for row in select(LIVING, {"pool": pool, "limit": MOST_WORKERS})]


def worker_document(identifier: int) -> dict[str, Any]:
    """Return one worker with the leases it holds. Raises NotFound where there is none."""
    rows = select(ONE, {"id": identifier})
    if not rows:
        raise missing()
    leases = select(LEASES, {"id": identifier, "limit": MOST_LEASES})
    return {**_judged(rows[0]), "held": [_lease(row) for row in leases]}


def fleet_page(*, pool: str | None, state: str | None, limit: int, offset: int) -> dict[str, Any]:
    """Return one page of the workers that have not left, by pool and name, for the API."""
    rows = [_judged(row) for row in select(LIVING, {"pool": pool, "limit": ALL_WORKERS})]
    found = [row for row in rows if state in (None, row["state"])]
    items = [_fleet_document(row) for row in found[offset : offset + limit]]
    return page(items, total=len(found), limit=limit, offset=offset)


def fleet_document(identifier: int) -> dict[str, Any]:
    """Return one worker for the API. Raises NotFound where there is none."""
    rows = select(ONE, {"id": identifier})
    if not rows:
        raise missing()
    return _fleet_document(_judged(rows[0]))


def worker_number(identifier: str) -> int:
    """Return the number in an address. Raises NotFound for what can be none."""
    if WORKER_ID.fullmatch(identifier) is None:
        raise missing()
    return int(identifier)


def _fleet_document(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "incarnation": str(row["incarnation"]),
        "node": row["node"],
        "pool": row["pool"],
        "state": row["state"],
        "slots": row["slots"],
        "busy": row["busy"],
        "leases": row["leases"],
        "oldest_lease_seconds": row["oldest_seconds"],
        "heartbeat_age_seconds": max(0.0, row["silent_seconds"]),
        "version": row["version"],
        "kinds": row["kinds"],
        "models": row["model_names"],
    }


def _judged(row: dict[str, Any]) -> dict[str, Any]:
    lost = row["state"] != WorkerState.GONE and row["silent_seconds"] > silent_seconds()
    # Leases tell what the control plane gave out; a lost worker's slots are nobody's.
    return {
        **row,
        "state": LOST if lost else row["state"],
        "stored_state": row["state"],
        "busy": min(row["busy"], row["slots"]),
    }


def _lease(row: dict[str, Any]) -> dict[str, Any]:
    since: datetime = row["granted_at"]
    return {
        "job": job_name(row["job_id"]),
        "tasks": [task_name(task) for task in row["task_ids"]],
        "granted_at": since,
        "expires_at": row["expires_at"],
        "close_at": row["close_at"],
    }
