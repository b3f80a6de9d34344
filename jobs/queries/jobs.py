"""The job as every door shows it: status, progress by stage, usage, cost and budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from access.actors import Actor
from jobs.models import Job
from jobs.planner.plan import Plan
from jobs.queries.formats import moment, page, select, usd, usd_or_none
from jobs.queries.lookup import visible_jobs
from jobs.states import JOB_ENDS, PRIORITIES, PRIORITY_NAMES, JobStatus, job_name

ETA_FROM_ENDED: Final = 20
"""Tasks that must have ended before a pace is worth extrapolating (console design, section 3)."""

# One statement, so that counters and leases are of one moment. Running tasks are few: as many as
# the fleet has slots.
STAGES = """
select s.job_id, s.name, s.planned_min, s.planned_max, s.open, s.blocked, s.succeeded,
    s.dead_lettered, s.cancelled, s.input_tokens, s.output_tokens, s.cost_nano_usd,
    least(coalesce(r.running, 0), s.open - s.blocked)::int as running,
    b.settled_nano_usd as settled, b.reserved_nano_usd as reserved
from job_stage s
left join budget b on b.job_id = s.job_id
left join (
    select l.job_id, t.stage, count(*) as running
    from lease l cross join unnest(l.task_ids) as held(id) join task t on t.id = held.id
    where l.job_id = any(%(jobs)s) and t.status = 'Running' group by l.job_id, t.stage
) r on r.job_id = s.job_id and r.stage = s.stage
where s.job_id = any(%(jobs)s) order by s.job_id, s.stage
"""

FIGURES: Final = (
    *("open", "blocked", "succeeded", "dead_lettered", "cancelled", "running"),
    *("input_tokens", "output_tokens", "cost_nano_usd", "settled", "reserved"),
)
"""What is counted of a stage, and of its job's budget."""

COUNTS: Final = ("blocked", "queued", "running", "succeeded", "dead_lettered", "cancelled")


@dataclass(frozen=True)
class JobFilter:
    """What `list_jobs` may be narrowed by; None everywhere leaves it whole."""

    status: str | None = None
    type: str | None = None
    priority: str | None = None
    label: tuple[str, str | None] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    tenant: str | None = None


def list_jobs(
    actor: Actor, wanted: JobFilter, *, limit: int, offset: int, now: datetime
) -> dict[str, Any]:
    """Return one page of the caller's jobs, newest first."""
    jobs = visible_jobs(actor).filter(**_conditions(wanted))
    rows = list(jobs.order_by("-id")[offset : offset + limit])
    return page(job_documents(rows, now=now), total=jobs.count(), limit=limit, offset=offset)


def job_document(job: Job, *, now: datetime) -> dict[str, Any]:
    """Return one job in the contract's shape."""
    return job_documents([job], now=now)[0]


def job_documents(jobs: Sequence[Job], *, now: datetime) -> list[dict[str, Any]]:
    """Return these jobs in the contract's shape; one statement however many they are."""
    identifiers = [job.pk for job in jobs]
    stages: dict[int, list[dict[str, Any]]] = {identifier: [] for identifier in identifiers}
    for row in select(STAGES, {"jobs": identifiers}) if identifiers else []:
        stages[row["job_id"]].append(row)
    return [_document(job, stages[job.pk], now) for job in jobs]


def new_job_document(job: Job, plan: Plan) -> dict[str, Any]:
    """Return a job as it was when it was stored just now, without asking anything."""
    zeros = dict.fromkeys(FIGURES, 0)
    stages: list[dict[str, Any]] = [
        {
            **zeros,
            "name": stage.name,
            "planned_min": stage.planned_min,
            "planned_max": stage.planned_max,
        }
        for stage in plan.stages
    ]
    for task in plan.tasks:
        stages[task.stage]["open"] += 1
        stages[task.stage]["blocked"] += bool(task.needs or task.collects)
    return _document(job, stages, job.created_at)


def _document(job: Job, stages: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    cost = sum(stage["cost_nano_usd"] for stage in stages)
    return {
        **job_identity(job),
        "labels": job.labels,
        "documents": job.documents,
        "max_parallelism": job.max_parallelism,
        "progress": _progress(job, stages, now),
        "stages": [_stage(stage) for stage in stages],
        "usage": usage(stages),
        "cost_usd": usd(cost),
        "budget": _budget(job, stages, cost),
        "plan": job.plan,
        "deadline_at": moment(job.deadline_at),
        "as_of": moment(now),
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
    }


def job_identity(job: Job) -> dict[str, Any]:
    """Return what a job is and where it stands, without its figures."""
    return {
        "id": job_name(job.pk),
        "uid": str(job.uid),
        "generation": job.generation,
        "tenant": job.tenant.name,
        "type": job.type,
        "status": job.status,
        "reason": job.reason,
        "message": job.message,
        "priority": PRIORITY_NAMES.get(job.priority, str(job.priority)),
        "policy": str(job.policy_revision),
        "pool": job.pool.name,
    }


def usage(stages: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return the tokens that these stages have used."""
    return {
        "input_tokens": sum(stage["input_tokens"] for stage in stages),
        "output_tokens": sum(stage["output_tokens"] for stage in stages),
    }


def _stage(row: dict[str, Any]) -> dict[str, Any]:
    queued = row["open"] - row["blocked"] - row["running"]
    ended = row["succeeded"] + row["dead_lettered"] + row["cancelled"]
    return {
        "name": row["name"],
        "total": row["open"] + ended,
        "planned_min": row["planned_min"],
        "planned_max": row["planned_max"],
        **{name: row.get(name, queued) for name in COUNTS},
    }


def _progress(job: Job, rows: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    stages = [_stage(row) for row in rows]
    counts = {name: sum(stage[name] for stage in stages) for name in COUNTS}
    total = sum(counts.values())
    ended = counts["succeeded"] + counts["dead_lettered"] + counts["cancelled"]
    # Tasks that are still to be spawned count too, so that the figure never runs backwards.
    expected = max(total, sum(max(stage["total"], stage["planned_min"]) for stage in stages))
    done = job.status in JOB_ENDS
    return {
        "total": total,
        **counts,
        "percent": 100.0 if done else round(100 * ended / expected, 1) if expected else 0.0,
        "eta_seconds": None if done else _eta(job, ended, expected - ended, now),
    }


def _eta(job: Job, ended: int, remaining: int, now: datetime) -> float | None:
    if job.started_at is None or ended < ETA_FROM_ENDED or job.status == JobStatus.SUSPENDED:
        return None
    elapsed = max((now - job.started_at).total_seconds(), 0.001)
    return round(remaining * elapsed / ended, 1)


def _budget(job: Job, stages: Sequence[dict[str, Any]], cost: int) -> dict[str, Any]:
    estimate = job.plan.get("estimate", {}) if isinstance(job.plan, dict) else {}
    settled = stages[0]["settled"] if stages else None
    return {
        "limit_usd": usd_or_none(job.limit_nano_usd),
        "settled_usd": usd(cost if settled is None else settled),
        "reserved_usd": usd((stages[0]["reserved"] if stages else None) or 0),
        "expected_usd": usd_or_none(estimate.get("cost_expected_nano_usd")),
    }


def _conditions(wanted: JobFilter) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "status": wanted.status,
        "type": wanted.type,
        "priority": PRIORITIES[wanted.priority] if wanted.priority else None,
        "created_at__gt": wanted.created_after,
        "created_at__lt": wanted.created_before,
        "tenant__name": wanted.tenant,
    }
    if wanted.label is not None:
        key, value = wanted.label
        if value is None:
            conditions["labels__has_key"] = key
        else:
            conditions["labels__contains"] = {key: value}
    return {name: value for name, value in conditions.items() if value is not None}
