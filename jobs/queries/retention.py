"""What is kept no longer: counted, not deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobs.queries.formats import select

# Jobs by the key of their end. A blob is unused when it is older than every job of its tenant that
# stays, and no file names it.
KEPT_NO_LONGER: Final = """
with ended as materialized (
    select id, tenant_id from job where finished_at < now() - make_interval(days => %(days)s)
        and (%(tenant)s::int is null or tenant_id = %(tenant)s)
), kept as materialized (
    select j.tenant_id, min(j.created_at) as oldest_at from job j
    where %(tenant)s::int is null
        and (j.finished_at is null or j.finished_at >= now() - make_interval(days => %(days)s))
    group by j.tenant_id
)
select (select count(*) from ended)::int as jobs,
    (select coalesce(sum(s.open + s.succeeded + s.dead_lettered + s.cancelled), 0)
        from ended e join job_stage s on s.job_id = e.id)::int as tasks,
    case when %(tenant)s::int is null then
        (select count(*) from idempotency_record
            where created_at < now() - make_interval(hours => %(hours)s))
        + (select count(*) from recorded_answer
            where created_at < now() - make_interval(hours => %(hours)s))
        else 0 end::int as keys,
    case when %(tenant)s::int is null then
        (select count(*) from artifact a left join kept k on k.tenant_id = a.tenant_id
        where a.created_at < now() - make_interval(days => %(days)s)
            and (k.oldest_at is null or a.created_at < k.oldest_at)
            and not exists (select 1 from file f
                where f.tenant_id = a.tenant_id and f.sha256 = a.sha256))
        else 0 end::int as artifacts
"""


@dataclass(frozen=True)
class Amounts:
    """Jobs with their tasks, idempotency keys, artifacts: deleted, or to be deleted."""

    jobs: int = 0
    tasks: int = 0
    keys: int = 0
    artifacts: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        """Return both together."""
        return Amounts(
            self.jobs + other.jobs,
            self.tasks + other.tasks,
            self.keys + other.keys,
            self.artifacts + other.artifacts,
        )


def kept_no_longer(*, days: int, hours: int, tenant: int | None) -> Amounts:
    """Return what retention would delete by now, of one tenant (jobs alone) or of all."""
    row = select(KEPT_NO_LONGER, {"days": days, "hours": hours, "tenant": tenant})[0]
    return Amounts(**row)
