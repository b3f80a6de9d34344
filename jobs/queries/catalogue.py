"""What hangs on policies, model endpoints and pools: who names them, who uses them, what for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from jobs.queries.formats import select, usd

MOST_NAMED: Final = 20

# By the key of open jobs; ended ones pin revisions too, but nothing depends on them any more.
OPEN_BY_REVISION = """
select r.number as revision, count(*)::int as jobs
from job j join policy_revision r on r.id = j.policy_revision_id
join policy p on p.id = r.policy_id
where j.finished_at is null and p.name = %(policy)s group by r.number
"""

OPEN_BY_POLICY = """
select p.name as policy, count(*)::int as jobs
from job j join policy_revision r on r.id = j.policy_revision_id
join policy p on p.id = r.policy_id
where j.finished_at is null group by p.name
"""

USED_TODAY = """
with today as materialized (
    select id from job where finished_at is null
    union all select id from job where finished_at >= %(midnight)s
)
select u.endpoint, count(*)::int as calls, sum(u.input_tokens)::bigint as input_tokens,
    sum(u.output_tokens)::bigint as output_tokens, sum(u.cost_nano_usd)::bigint as cost_nano_usd
from today j
join usage_entry u on u.task_id >= j.id << 20 and u.task_id < (j.id + 1) << 20
    and u.recorded_at >= %(midnight)s
where %(endpoint)s = '' or u.endpoint = %(endpoint)s group by u.endpoint
"""

NAMING_POLICIES = """
select p.name from policy p join policy_revision r on r.id = p.current_id
where coalesce(r.spec->>'pool', 'default') = %(pool)s order by p.name limit %(most)s
"""


def open_jobs_by_revision(policy: str) -> dict[int, int]:
    """Return how many open jobs run under each revision of a policy."""
    rows = select(OPEN_BY_REVISION, {"policy": policy})
    return {row["revision"]: row["jobs"] for row in rows}


def open_jobs_by_policy() -> dict[str, int]:
    """Return how many open jobs run under each policy, whatever the revision."""
    return {row["policy"]: row["jobs"] for row in select(OPEN_BY_POLICY, {})}


def used_today(*, now: datetime, endpoint: str = "") -> dict[str, dict[str, Any]]:
    """Return calls, tokens and cost since midnight UTC by endpoint, of one or all."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = select(USED_TODAY, {"midnight": midnight, "endpoint": endpoint})
    return {row["endpoint"]: {**row, "cost_usd": usd(int(row["cost_nano_usd"]))} for row in rows}


def policies_naming(pool: str) -> list[str]:
    """Return the policies whose jobs run in this pool, the first twenty by name."""
    rows = select(NAMING_POLICIES, {"pool": pool, "most": MOST_NAMED})
    return [row["name"] for row in rows]
