"""What each tenant has now and has used today; cost follows open jobs and today's model calls.

The figures of today are the dashboard's own, row by row, so that their sums agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from access.actors import TENANT_PREFIX
from access.models import Tenant
from jobs.queries.formats import select, usd
from jobs.queries.overview import spent_today

MOST_ROWS: Final = 50

# Open jobs and their money by their key; tasks by the leases, of which there are as many as slots.
OPEN = """
select j.tenant_id, count(*)::int as jobs,
    coalesce(sum(b.reserved_nano_usd), 0)::bigint as reserved,
    coalesce(sum(b.settled_nano_usd), 0)::bigint as settled,
    coalesce(sum(j.limit_nano_usd), 0)::bigint as limits,
    count(*) filter (where j.limit_nano_usd is null)::int as unlimited
from job j left join budget b on b.job_id = j.id
where j.finished_at is null group by j.tenant_id
"""

RUNNING = """
select j.tenant_id, sum(cardinality(l.task_ids))::int as tasks
from lease l join job j on j.id = l.job_id
where %(tenant)s::int is null or j.tenant_id = %(tenant)s group by j.tenant_id
"""

TOKENS = """
select scope, count(*)::int as tokens from api_token cross join unnest(scopes) as scope
where revoked_at is null and (expires_at is null or expires_at > %(now)s)
    and scope = any(%(scopes)s) group by scope
"""

POLICIES = """
select p.name as policy, r.number as revision, count(*)::int as jobs
from job j join policy_revision r on r.id = j.policy_revision_id
join policy p on p.id = r.policy_id
where j.finished_at is null and j.tenant_id = %(tenant)s
group by p.name, r.number order by jobs desc, p.name, r.number limit 20
"""

# Only jobs that are open or ended today can have used anything today.
MODELS = """
with today as materialized (
    select id from job where tenant_id = %(tenant)s and finished_at is null
    union all select id from job where tenant_id = %(tenant)s and finished_at >= %(midnight)s
)
select u.model, u.endpoint, count(*)::int as calls, sum(u.input_tokens)::bigint as input_tokens,
    sum(u.output_tokens)::bigint as output_tokens, sum(u.cost_nano_usd)::bigint as cost_nano_usd,
    coalesce(sum(u.cost_nano_usd) filter (where u.wasted), 0)::bigint as wasted_nano_usd
from today j
join usage_entry u on u.task_id >= j.id << 20 and u.task_id < (j.id + 1) << 20
    and u.recorded_at >= %(midnight)s
group by u.model, u.endpoint order by sum(u.cost_nano_usd) desc, u.model, u.endpoint limit 50
"""


def tenant_rows(*, after: str = "", now: datetime) -> tuple[list[dict[str, Any]], bool]:
    """Return one page of tenants by name with their figures, and whether there are more.

    Five statements, however many they are.
    """
    found = list(Tenant.objects.filter(name__gt=after).order_by("name")[: MOST_ROWS + 1])
    return tenant_figures(found[:MOST_ROWS], now=now), len(found) > MOST_ROWS


def tenant_figures(tenants: Sequence[Tenant], *, now: datetime) -> list[dict[str, Any]]:
    """Return what these tenants have now and have used today; money in USD."""
    only = tenants[0].pk if len(tenants) == 1 else None
    open_jobs = {row["tenant_id"]: row for row in select(OPEN, {})}
    running = {row["tenant_id"]: row["tasks"] for row in select(RUNNING, {"tenant": only})}
    spent = {row["tenant"]: row for row in spent_today(now=now)}
    tokens = _tokens([tenant.name for tenant in tenants], now)
    due = _due(open_jobs)
    whole = sum(_used(row) for row in spent.values())
    return [
        {
            "name": tenant.name,
            "weight": tenant.weight,
            "shares": tenant.weight / 100,
            "max_running_tasks": tenant.max_running_tasks,
            "created_at": tenant.created_at,
            "running": running.get(tenant.pk, 0),
            "due_percent": due.get(tenant.pk),
            "got_percent": _percent(_used(spent.get(tenant.name)), whole),
            "tokens": tokens.get(tenant.name, 0),
            **_money(open_jobs.get(tenant.pk), spent.get(tenant.name)),
        }
        for tenant in tenants
    ]


def spent_by_model(tenant: Tenant, *, now: datetime) -> list[dict[str, Any]]:
    """Return what a tenant has used since midnight UTC by model and endpoint, the dearest first."""
    rows = select(MODELS, {"tenant": tenant.pk, "midnight": _midnight(now)})
    return [
        {
            **row,
            "cost_usd": usd(row["cost_nano_usd"]),
            "wasted_usd": usd(row["wasted_nano_usd"]),
        }
        for row in rows
    ]


def policies_of(tenant: Tenant) -> list[dict[str, Any]]:
    """Return the revisions that a tenant's open jobs run under, with how many each."""
    return select(POLICIES, {"tenant": tenant.pk})


def _tokens(names: Iterable[str], now: datetime) -> dict[str, int]:
    scopes = [f"{TENANT_PREFIX}{name}" for name in names]
    rows = select(TOKENS, {"scopes": scopes, "now": now})
    return {row["scope"].removeprefix(TENANT_PREFIX): row["tokens"] for row in rows}


def _due(open_jobs: dict[int, dict[str, Any]]) -> dict[int, float]:
    """The part of the fabric due to each tenant with open jobs, in percent."""
    weights = dict(Tenant.objects.filter(pk__in=open_jobs).values_list("pk", "weight"))
    whole = sum(weights.values())
    return {tenant: 100 * weight / whole for tenant, weight in weights.items()}


def _money(open_row: dict[str, Any] | None, spent: dict[str, Any] | None) -> dict[str, Any]:
    now = open_row or dict.fromkeys(("jobs", "reserved", "settled", "limits", "unlimited"), 0)
    return {
        "open_jobs": now["jobs"],
        "reserved_usd": usd(now["reserved"]),
        "settled_usd": usd(now["settled"]),
        "limits_usd": usd(now["limits"]),
        "unlimited_jobs": now["unlimited"],
        "cost_usd": usd(int(spent["cost_nano_usd"])) if spent else 0.0,
        "input_tokens": int(spent["input_tokens"]) if spent else 0,
        "output_tokens": int(spent["output_tokens"]) if spent else 0,
    }


def _used(spent: dict[str, Any] | None) -> int:
    return int(spent["input_tokens"] + spent["output_tokens"]) if spent else 0


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
