"""A planned job becomes rows: job, tasks, edges, stages and queue entries in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from jobs.planner.plan import Plan
from jobs.transitions.sql import fetch, fetch_prepared, integers, one_line, texts

INSERT_JOB = one_line("""
with j as (
    insert into job (uid, generation, tenant_id, type, status, reason, message, priority,
        policy_revision_id, pool_id, labels, input, parameters, plan, documents, total_tasks,
        max_parallelism, max_failed_percent, limit_nano_usd, schedule_to_start_seconds,
        start_to_close_seconds, schedule_to_close_seconds, deadline_at, created_at)
    values (%(uid)s, 1, %(tenant)s, %(type)s, 'Pending', %(reason)s, '', %(priority)s,
        %(policy_revision)s, %(pool)s, %(labels)s, %(input)s, %(parameters)s, %(plan)s,
        %(documents)s, %(total)s, %(max_parallelism)s, %(max_failed_percent)s,
        %(limit_nano_usd)s, %(schedule_to_start_seconds)s, %(start_to_close_seconds)s,
        %(schedule_to_close_seconds)s,
        now() + make_interval(secs => %(deadline_seconds)s), now())
    returning id, created_at, deadline_at
), p as materialized (
    select * from unnest(%(kind)s::text[], %(name)s::text[], %(model)s::text[], %(stage)s::int[],
        %(capability)s::int[], %(waiting)s::int[], %(fanout)s::int[], %(expected)s::int[],
        %(ceiling)s::bigint[], %(task_input)s::text[], %(task_parameters)s::text[])
        with ordinality as p(kind, name, model, stage, capability, waiting, fanout, expected,
            ceiling, input, parameters, n)
), t as (
    insert into task (id, job_id, tenant_id, pool_id, priority, capability_id, stage, kind,
        status, generation, attempt, max_attempts, epoch, waiting, fanout, expected_tokens,
        ceiling_nano_usd, workers_lost, created_at, queued_at, input_tokens, output_tokens,
        cost_nano_usd)
    select j.id << 20 | p.n, j.id, %(tenant)s, %(pool)s, %(priority)s, p.capability, p.stage,
        p.kind, case when p.waiting = 0 then 'Queued' else 'Blocked' end, 1, 0,
        %(max_attempts)s, 0, p.waiting, p.fanout, p.expected, p.ceiling, 0, now(),
        case when p.waiting = 0 then now() end, 0, 0, 0
    from j, p
), i as (
    insert into task_input (task_id, job_id, name, model, parameters, input)
    select j.id << 20 | p.n, j.id, p.name, p.model, p.parameters, p.input from j, p
), r as (
    insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
    select %(pool)s, p.capability, %(priority)s, %(tenant)s, j.id << 20 | p.n
    from j, p where p.waiting = 0
), s as (
    insert into job_stage (job_id, stage, name, planned_min, planned_max, open, blocked,
        succeeded, dead_lettered, cancelled, input_tokens, output_tokens, cost_nano_usd)
    select j.id, s.stage - 1, s.name, s.planned_min, s.planned_max,
        (select count(*) from p where p.stage = s.stage - 1),
        (select count(*) from p where p.stage = s.stage - 1 and p.waiting > 0), 0, 0, 0, 0, 0, 0
    from j, unnest(%(stage_name)s::text[], %(planned_min)s::int[], %(planned_max)s::int[])
        with ordinality as s(name, planned_min, planned_max, stage)
), e as (
    insert into edge (parent_id, child_id, kind)
    select j.id << 20 | e.parent, j.id << 20 | e.child, e.kind
    from j, unnest(%(edge_parent)s::bigint[], %(edge_child)s::bigint[], %(edge_kind)s::text[])
        as e(parent, child, kind)
), b as (
    insert into budget (job_id, limit_nano_usd, task_ceiling_nano_usd, reserved_nano_usd,
        settled_nano_usd, overrun_nano_usd)
    select j.id, %(limit_nano_usd)s, %(dearest)s, 0, 0, 0 from j
    where %(limit_nano_usd)s::bigint is not null and %(dearest)s::bigint > 0
), v as (
    insert into job_event (job_id, kind, happened_at, actor, task_ids, details)
    select j.id, 'submitted', now(), %(actor)s, '{}', %(event)s from j
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'tasks', array[(%(pool)s::int)::text, (%(priority)s::int)::text],
        array[count(*), count(*) filter (where p.waiting > 0), 0, 0, 0]::bigint[], now() from p
    union all
    select 'jobs', array[%(type)s::text, 'Pending'], array[1]::bigint[], now()
)
select id, created_at, deadline_at from j
""")


@dataclass(frozen=True, slots=True)
class JobRow:
    """What the job's own row says; see ``jobs.models.Job`` for each field."""

    uid: str
    tenant: int
    type: str
    priority: int
    policy_revision: int
    pool: int
    labels: str
    input: str
    parameters: str
    plan: str
    documents: int
    max_attempts: int
    max_parallelism: int | None
    max_failed_percent: float | None
    limit_nano_usd: int | None
    schedule_to_start_seconds: float | None
    start_to_close_seconds: float
    schedule_to_close_seconds: float | None
    deadline_seconds: float | None
    reason: str
    actor: str
    event: str


class StoredRow(NamedTuple):
    """What the database gave a new job."""

    id: int
    created_at: datetime
    deadline_at: datetime | None


def insert_job(row: JobRow, plan: Plan, capabilities: Mapping[tuple[str, str], int]) -> StoredRow:
    """Store the job with all its tasks in one round trip."""
    parameters: dict[str, Any] = {name: getattr(row, name) for name in row.__slots__}
    parameters |= _task_columns(plan, capabilities) | _edge_columns(plan) | _stage_columns(plan)
    parameters["total"] = len(plan.tasks)
    parameters["dearest"] = max((task.ceiling_nano_usd for task in plan.tasks), default=0)
    return StoredRow(*fetch_prepared(INSERT_JOB, parameters)[0])


def _task_columns(plan: Plan, capabilities: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    tasks = plan.tasks
    fanout = [0] * len(tasks)
    for task in tasks:
        for parent in (*task.needs, *task.collects):
            fanout[parent] += 1
    return {
        "kind": texts(task.kind for task in tasks),
        "name": texts(task.name for task in tasks),
        "model": texts(task.model for task in tasks),
        "stage": integers(task.stage for task in tasks),
        "capability": integers(capabilities[task.kind, task.model] for task in tasks),
        "waiting": integers(len(task.needs) + len(task.collects) for task in tasks),
        "fanout": integers(fanout),
        "expected": integers(task.expected_tokens for task in tasks),
        "ceiling": integers(task.ceiling_nano_usd for task in tasks),
        "task_input": texts(task.input for task in tasks),
        "task_parameters": texts(task.parameters for task in tasks),
    }


def _edge_columns(plan: Plan) -> dict[str, Any]:
    edges = [
        (parent + 1, child + 1, kind)
        for child, task in enumerate(plan.tasks)
        for kind, parents in (("needs", task.needs), ("collects", task.collects))
        for parent in parents
    ]
    return {
        "edge_parent": integers(parent for parent, _, _ in edges),
        "edge_child": integers(child for _, child, _ in edges),
        "edge_kind": texts(kind for _, _, kind in edges),
    }


def _stage_columns(plan: Plan) -> dict[str, Any]:
    return {
        "stage_name": texts(stage.name for stage in plan.stages),
        "planned_min": integers(stage.planned_min for stage in plan.stages),
        "planned_max": integers(stage.planned_max for stage in plan.stages),
    }


def intern_capabilities(wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The numbers of these (kind, model) pairs; pairs never seen before get one."""
    pairs = sorted(wanted)
    arrays = ([kind for kind, _ in pairs], [model for _, model in pairs])
    known = _known_capabilities(arrays)
    if len(known) < len(wanted):
        fetch(
            "insert into capability (kind, model) select * from unnest(%s::text[], %s::text[]) "
            "on conflict do nothing",
            arrays,
        )
        known = _known_capabilities(arrays)
    return known


def _known_capabilities(arrays: tuple[list[str], list[str]]) -> dict[tuple[str, str], int]:
    rows = fetch(
        "select kind, model, id from capability "
        "where (kind, model) in (select * from unnest(%s::text[], %s::text[]))",
        arrays,
    )
    return {(kind, model): number for kind, model, number in rows}


def remember_answer(*, tenant: int, key: str, request_sha256: str, job: int) -> None:
    """Keep which job an Idempotency-Key made, in the job's own transaction."""
    fetch(
        "insert into idempotency_record (tenant_id, key, request_sha256, job_id, created_at) "
        "values (%s, %s, %s, %s, clock_timestamp())",
        (tenant, key, request_sha256, job),
    )
