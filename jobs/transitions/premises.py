"""What has to be known before a job is planned, read by one statement.

A submission is one small transaction; each question of its own would cost it as much again.
"""

from typing import Any, Final

from jobs.transitions.sql import fetch, fetch_prepared

ENDPOINTS: Final = """
(select coalesce(json_agg(json_build_object('name', e.name, 'backend', e.backend,
        'models', e.model_names, 'input_price', e.input_price, 'output_price', e.output_price,
        'location', e.location) order by e.name), '[]')::text
    from model_endpoint e where e.enabled)
"""
"""A JSON list of the enabled endpoints, each with the fields of ``EndpointSpec``."""

MOST_CAPABILITIES: Final = 200
"""So many (kind, model) pairs are told at once; a fabric has some ten."""

PREMISES: Final = f"""
select t.id, y.name, r.id, r.number, r.spec::text, p.id, p.name, {ENDPOINTS}, (
    select coalesce(json_agg(json_build_array(c.kind, c.model, c.id)), '[]')::text
    from (select * from capability order by id limit {MOST_CAPABILITIES}) c), (
    select count(*) from worker w where w.pool_id = p.id and w.state = 'Active'
        and (w.tenant_id is null or w.tenant_id = t.id)
        and w.heartbeat_at > clock_timestamp() - make_interval(secs => %(silent_seconds)s))
from (select 1) as asked
left join tenant t on t.name = %(tenant)s
left join policy y on y.name = %(policy)s
left join policy_revision r on r.id = y.current_id
left join pool p on p.name = coalesce(r.spec ->> 'pool', %(default_pool)s)
"""  # nosec B608


def premises(
    *, tenant: str, policy: str, default_pool: str, silent_seconds: float
) -> tuple[Any, ...]:
    """The row of ``PREMISES``; None in it stands for what is not there."""
    return fetch_prepared(
        PREMISES,
        {
            "tenant": tenant,
            "policy": policy,
            "default_pool": default_pool,
            "silent_seconds": silent_seconds,
        },
    )[0]


def endpoints() -> str:
    """The enabled endpoints as JSON; see ``ENDPOINTS``."""
    return str(fetch(f"select {ENDPOINTS}")[0][0])
