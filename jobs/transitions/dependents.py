"""What an ended task means for those that wait for it, and tasks that tasks add."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.transitions.sql import columns, fetch, integers

# Children are locked in key order before they are written, and judged by what the lock found:
# a retry may have blocked them since the statement began. Counting down is safe where asking "is
# any parent left?" is not: two parents that end together would each see the other unfinished.
UNBLOCK = """
with ended as (
    select * from unnest(%(id)s::bigint[], %(succeeded)s::bool[]) as ended(id, succeeded)
), x as (
    select e.child_id, count(*) as n, bool_or(e.kind = 'needs' and not ended.succeeded) as broken
    from ended join edge e on e.parent_id = ended.id group by e.child_id
), k as materialized (
    select t.id, t.status, t.waiting from task t
    where t.id = any(array(select child_id from x)) order by t.id for update
), u as (
    update task t set waiting = k.waiting - x.n,
        status = case when x.broken then 'Cancelled' when k.waiting = x.n then 'Queued'
            else 'Blocked' end,
        queued_at = case when not x.broken and k.waiting = x.n then now() end,
        finished_at = case when x.broken then clock_timestamp() end,
        error_code = case when x.broken then 'dependency_failed' end,
        error_message = case when x.broken then 'A task that this one needs did not succeed.' end
    from x, k
    where t.id = k.id and x.child_id = k.id and k.status = 'Blocked'
    returning t.id, t.job_id, t.tenant_id, t.pool_id, t.priority, t.capability_id, t.stage,
        t.status, t.fanout
), r as (
    insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
    select u.pool_id, u.capability_id, u.priority, u.tenant_id, u.id from u
    where u.status = 'Queued'
)
select u.id, u.job_id, u.stage, u.status, u.fanout from u
"""

LOCK_DEPENDENTS = """
select t.id from task t where t.id = any(array(
    select e.child_id from edge e where e.parent_id = any(%s::bigint[]))) order by t.id for update
"""

# The stage rows are locked by the caller, so that numbers are given out one spawner at a time.
SPAWN = """
with parent as (
    select t.*, (select coalesce(max(x.id), 0) from task x
        where x.id >= t.job_id << 20 and x.id < (t.job_id + 1) << 20) as last
    from task t where t.id = %(parent)s
), p as materialized (
    select * from unnest(%(name)s::text[], %(kind)s::text[], %(model)s::text[],
        %(capability)s::int[], %(stage)s::int[], %(expected)s::int[], %(ceiling)s::bigint[],
        %(input)s::text[], %(parameters)s::text[]) with ordinality
        as p(name, kind, model, capability, stage, expected, ceiling, input, parameters, n)
), i as (
    insert into task_input (task_id, job_id, name, model, parameters, input, spawned_by)
    select parent.last + p.n, parent.job_id, p.name, p.model, p.parameters, p.input, parent.id
    from parent, p
    on conflict (job_id, name) where spawned_by is not null do nothing
    returning task_id
), children as (
    select e.child_id from edge e join task c on c.id = e.child_id
    where e.parent_id = %(parent)s and c.status = 'Blocked'
), t as (
    insert into task (id, job_id, tenant_id, pool_id, priority, capability_id, stage, kind,
        status, generation, attempt, max_attempts, epoch, waiting, fanout, expected_tokens,
        ceiling_nano_usd, workers_lost, created_at, queued_at, input_tokens, output_tokens,
        cost_nano_usd)
    select parent.last + p.n, parent.job_id, parent.tenant_id, parent.pool_id, parent.priority,
        p.capability, p.stage, p.kind, 'Queued', 1, 0, parent.max_attempts, 0, 0,
        (select count(*) from children), p.expected, p.ceiling, 0, now(), now(), 0, 0, 0
    from parent, p where parent.last + p.n in (select task_id from i)
    returning id, job_id, tenant_id, pool_id, priority, capability_id, stage
), r as (
    insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
    select pool_id, capability_id, priority, tenant_id, id from t
), e as (
    insert into edge (parent_id, child_id, kind) select t.id, children.child_id, 'collects'
    from t, children
), w as (
    update task set waiting = waiting + (select count(*) from t)
    where id in (select child_id from children)
), j as (
    update job set total_tasks = total_tasks + (select count(*) from t)
    where id = (select job_id from parent)
)
select id, stage from t
"""


class MovedTask(NamedTuple):
    """A dependent that is ``Queued`` or ``Cancelled`` now, or ``Blocked`` with less to wait for."""

    id: int
    job_id: int
    stage: int
    status: str
    fanout: int


class SpawnRow(NamedTuple):
    """One task that a task adds to its job."""

    name: str
    kind: str
    model: str
    capability: int
    stage: int
    expected: int
    ceiling: int
    input: str
    parameters: str


def unblock(ended: Sequence[tuple[int, bool]]) -> list[MovedTask]:
    """Tell dependents that these ``(task, succeeded)`` have ended; broken needs cascade."""
    moved: list[MovedTask] = []
    while ended:
        rows = fetch(
            UNBLOCK,
            {
                "id": integers(task for task, _ in ended),
                "succeeded": [succeeded for _, succeeded in ended],
            },
        )
        step = [MovedTask(*row) for row in rows]
        moved.extend(step)
        ended = [(task.id, False) for task in step if task.status == "Cancelled" and task.fanout]
    return moved


def lock_dependents(parents: Sequence[int]) -> None:
    """Lock the dependents of these tasks in key order, before any stage or job row."""
    fetch(LOCK_DEPENDENTS, (integers(parents),))


def spawn(parent: int, rows: Sequence[SpawnRow]) -> list[tuple[int, int]]:
    """Add tasks to the parent's job as parents of its dependents; returns ``(task, stage)``.

    A name that the job has already spawned is left out: a task that runs again adds nothing twice.
    """
    return fetch(SPAWN, {"parent": parent, **columns(rows, SpawnRow._fields)})
