"""Dead letters as operators see them: one by one, and by cause. Never an input or a result.

Every filter reads an index in its order, and causes are counted from an index alone: a million
dead letters cost a page what a hundred do, and the causes about a tenth of a second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jobs.policies import causes
from jobs.queries.formats import moment, page, select
from jobs.queries.lookup import job_numbers
from jobs.states import job_name, task_name

MOST_TENANTS: Final = 20
"""Tenants that a cause names, those with the most dead letters first."""

BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Before every dead letter."""

ITEMS: Final = """
select d.task_id, d.job_id, n.name as tenant, d.kind, i.name, i.model, d.error_code,
    d.error_message, d.fingerprint, t.generation, t.attempt, t.max_attempts, d.buried_at
from dead_letter d
join task t on t.id = d.task_id
join tenant n on n.id = d.tenant_id
left join task_input i on i.task_id = d.task_id
where d.task_id = any(array({ids}))
order by d.buried_at desc, d.task_id desc
"""

IDS: Final = """
select d.task_id from dead_letter d where {condition}
order by d.buried_at desc, d.task_id desc limit %(limit)s offset %(offset)s
"""

OLDEST: Final = """
select d.task_id, d.buried_at from dead_letter d
where {condition} and d.buried_at <= %(last)s
    and (d.buried_at, d.task_id) > (%(after_moment)s, %(after_task)s)
order by d.buried_at, d.task_id limit %(limit)s
"""

# The index has a tenant's jobs of a cause side by side: they are told apart in one pass through it,
# without a sort and without a group for each, however many there are.
CAUSES: Final = """
with by_tenant as materialized (
    select d.fingerprint, d.tenant_id, count(*) as tasks, count(distinct d.job_id) as jobs
    from dead_letter d where {condition} group by d.fingerprint, d.tenant_id
), cause as materialized (
    select fingerprint, sum(tasks)::bigint as tasks, sum(jobs)::bigint as jobs,
        count(*) over () as causes
    from by_tenant group by fingerprint
    order by sum(tasks) desc, fingerprint limit %(limit)s offset %(offset)s
)
select c.fingerprint, c.tasks, c.jobs, c.causes, newest.error_code, newest.error_message,
    newest.buried_at as last, oldest.buried_at as first,
    (select coalesce(json_agg(json_build_object('tenant', n.name, 'count', x.tasks)
            order by x.tasks desc, n.name), '[]')
        from (select b.tenant_id, b.tasks from by_tenant b where b.fingerprint = c.fingerprint
            order by b.tasks desc, b.tenant_id limit %(tenants)s) x
        join tenant n on n.id = x.tenant_id)::text as tenants
from cause c
cross join lateral (
    select d.error_code, d.error_message, d.buried_at from dead_letter d
    where d.fingerprint = c.fingerprint and {condition}
    order by d.buried_at desc limit 1) newest
cross join lateral (
    select d.buried_at from dead_letter d where d.fingerprint = c.fingerprint and {condition}
    order by d.buried_at limit 1) oldest
order by c.tasks desc, c.fingerprint
"""

CONDITIONS: Final = {
    "tenant": "d.tenant_id = (select id from tenant where name = %(tenant)s)",
    "job": "d.job_id = %(job)s",
    "kind": "d.kind = %(kind)s",
    "error_code": "d.error_code = %(error_code)s",
    "cause": "d.fingerprint = %(cause)s",
    "since": "d.buried_at >= %(since)s",
    "until": "d.buried_at < %(until)s",
}


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which ones; None means any. ``job`` is ``job-7`` or a uid, ``cause`` a fingerprint.

    ``since`` is the first moment of death that is meant, ``until`` the first beyond.
    """

    tenant: str | None = None
    job: str | None = None
    kind: str | None = None
    error_code: str | None = None
    cause: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> tuple[str, dict[str, Any]]:
        """Return the condition on ``dead_letter d`` and its parameters."""
        given = {name: value for name, value in self.__dict__.items() if value is not None}
        parameters: dict[str, Any] = dict(given)
        if self.job is not None:
            parameters["job"] = job_numbers([self.job]).get(self.job)
        text = " and ".join(CONDITIONS[name] for name in given) or "true"
        return text, parameters


def list_dead_letters(wanted: DeadLetterFilter, *, limit: int, offset: int) -> dict[str, Any]:
    """Return one page, newest first; two statements however many there are."""
    condition, parameters = wanted.condition()
    parameters |= {"limit": limit, "offset": offset}
    statement = ITEMS.format(ids=IDS.format(condition=condition))
    rows = select(statement, parameters)
    total = count_dead_letters(wanted)
    return page([item(row) for row in rows], total=total, limit=limit, offset=offset)


def count_dead_letters(wanted: DeadLetterFilter) -> int:
    """Return how many there are."""
    condition, parameters = wanted.condition()
    statement = f"select count(*) as n from dead_letter d where {condition}"  # nosec B608
    return int(select(statement, parameters)[0]["n"])


def list_causes(wanted: DeadLetterFilter, *, limit: int, offset: int) -> dict[str, Any]:
    """Return one page of causes, those with the most dead letters first."""
    condition, parameters = wanted.condition()
    parameters |= {"limit": limit, "offset": offset, "tenants": MOST_TENANTS}
    rows = select(CAUSES.format(condition=condition), parameters)
    total = rows[0]["causes"] if rows else _count_causes(wanted, offset)
    return page([_cause(row) for row in rows], total=total, limit=limit, offset=offset)


def oldest_dead_letters(
    wanted: DeadLetterFilter,
    *,
    last: datetime,
    after: tuple[datetime, int] = BEGINNING,
    limit: int,
) -> list[tuple[datetime, int]]:
    """Return ``(buried, task)`` of the next ones behind ``after``, oldest first.

    What was buried later than ``last`` is left out, so that a task that dies again while they
    are worked through does not come back.
    """
    condition, parameters = wanted.condition()
    parameters |= {"last": last, "limit": limit}
    parameters |= {"after_moment": after[0], "after_task": after[1]}
    rows = select(OLDEST.format(condition=condition), parameters)
    return [(row["buried_at"], row["task_id"]) for row in rows]


def database_time() -> datetime:
    """Return the time by the clock that dates burials."""
    moment_now: datetime = select("select clock_timestamp() as now", {})[0]["now"]
    return moment_now


def _count_causes(wanted: DeadLetterFilter, offset: int) -> int:
    """Causes there are when the page behind them was asked for."""
    if not offset:
        return 0
    condition, parameters = wanted.condition()
    statement = f"select count(distinct fingerprint) as n from dead_letter d where {condition}"  # nosec B608
    return int(select(statement, parameters)[0]["n"])


def item(row: dict[str, Any]) -> dict[str, Any]:
    """Return one dead letter of a row of ``ITEMS``."""
    return {
        "task": task_name(row["task_id"]),
        "job": job_name(row["job_id"]),
        "tenant": row["tenant"],
        "name": row["name"],
        "kind": row["kind"],
        "model": row["model"] or None,
        "error": {"code": row["error_code"], "message": row["error_message"]},
        "fingerprint": row["fingerprint"],
        "generation": row["generation"],
        "attempt": row["attempt"],
        "max_attempts": row["max_attempts"],
        "buried_at": moment(row["buried_at"]),
    }


def _cause(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": row["error_code"],
        "fingerprint": row["fingerprint"],
        "message": causes.pattern(row["error_message"]),
        "count": row["tasks"],
        "jobs": row["jobs"],
        "tenants": json.loads(row["tenants"]),
        "first": moment(row["first"]),
        "last": moment(row["last"]),
        "advice": causes.advice(row["error_code"]),
    }
