"""A job's tasks: pages straight by key, and one task with its attempts, log, input and result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from jobs.models import Job
from jobs.queries.formats import moment, page, select, stored_json, usd
from jobs.queries.lookup import missing
from jobs.states import TASK_BITS, TaskStatus, task_name

LOG_LINES: Final = 500
"""Most log lines in a task's document, the newest ones."""

# The ids of job j lie in [j << 20, (j + 1) << 20): the key alone finds and orders them.
FILTERED = """
from task t where t.id >= %(low)s and t.id < %(high)s
    and (%(status)s::text is null or t.status = %(status)s)
"""

OF_WORKER = """
from task t left join attempt a on a.task_id = t.id and a.epoch = t.epoch
    join worker w on w.id = coalesce(t.owner, a.owner) and w.name = %(worker)s
where t.id >= %(low)s and t.id < %(high)s
    and (%(status)s::text is null or t.status = %(status)s)
"""

COLUMNS = """
select t.id, i.name, t.kind, t.status, t.generation, t.attempt, t.max_attempts, t.epoch,
    w.name as worker, i.model, t.error_code, t.error_message, t.input_tokens, t.output_tokens,
    t.cost_nano_usd, t.created_at, t.started_at, t.finished_at, t.tenant_id, s.name as stage
"""

SOURCES = """
from task t left join task_input i on i.task_id = t.id
    left join attempt a on a.task_id = t.id and a.epoch = t.epoch
    left join worker w on w.id = coalesce(t.owner, a.owner)
    left join job_stage s on s.job_id = t.job_id and s.stage = t.stage
"""

ONE = f"{COLUMNS}, i.input, i.parameters, t.result, t.result_sha256 {SOURCES} where t.id = %(id)s"

EDGES = """
select child_id, parent_id, kind from edge where child_id = any(%(ids)s)
order by child_id, parent_id
"""

ATTEMPTS = """
select a.number, a.epoch, a.generation, w.name as worker, a.started_at, a.finished_at, a.outcome,
    a.error_code, a.error_message, a.input_tokens, a.output_tokens, a.cost_nano_usd
from attempt a left join worker w on w.id = a.owner where a.task_id = %(id)s order by a.epoch
"""

LOG = """
select epoch, written_at, text from (
    select id, epoch, written_at, text from task_log where task_id = %(id)s
    order by id desc limit %(limit)s) newest
order by id
"""


def list_tasks(
    job: Job, *, status: str | None, worker: str | None, limit: int, offset: int
) -> dict[str, Any]:
    """Return one page of the job's tasks in order; three statements however many they are."""
    parameters = {
        "low": job.pk << TASK_BITS,
        "high": (job.pk + 1) << TASK_BITS,
        "status": status,
        "worker": worker,
        "limit": limit,
        "offset": offset,
    }
    wanted = FILTERED if worker is None else OF_WORKER
    rows = select(_page_of(wanted), parameters)
    total = select(f"select count(*) as total {wanted}", parameters)[0]["total"]
    return page(_with_parents(rows), total=total, limit=limit, offset=offset)


def task_document(identifier: int, *, private: bool) -> dict[str, Any]:
    """Return one task with its attempts; input, result and log only with `private`.

    Raises NotFound when the job has no such task.
    """
    rows = select(ONE, {"id": identifier})
    if not rows:
        raise missing()
    document = _with_parents(rows)[0]
    document["attempts"] = _attempts(rows[0])
    if private:
        document |= _private_part(rows[0])
    return document


def _page_of(wanted: str) -> str:
    ids = f"select t.id {wanted} order by t.id limit %(limit)s offset %(offset)s"
    return f"{COLUMNS} {SOURCES} where t.id = any(array({ids})) order by t.id"


def _with_parents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parents: dict[tuple[int, str], list[str]] = defaultdict(list)
    for edge in select(EDGES, {"ids": [row["id"] for row in rows]}) if rows else []:
        parents[edge["child_id"], edge["kind"]].append(task_name(edge["parent_id"]))
    return [task_row(row, parents) for row in rows]


def task_row(
    row: dict[str, Any], parents: Mapping[tuple[int, str], list[str]] = MappingProxyType({})
) -> dict[str, Any]:
    """Return a task of a row of ``COLUMNS``; ``parents`` names those it needs and collects."""
    return {
        "id": task_name(row["id"]),
        "name": row["name"],
        "kind": row["kind"],
        "stage": row["stage"],
        "status": row["status"],
        "generation": row["generation"],
        "attempt": row["attempt"],
        "max_attempts": row["max_attempts"],
        "needs": parents.get((row["id"], "needs"), []),
        "collects": parents.get((row["id"], "collects"), []),
        "worker": row["worker"],
        "model": row["model"] or None,
        "error": _error(row),
        **_usage(row),
        "created_at": moment(row["created_at"]),
        "started_at": moment(row["started_at"]),
        "finished_at": moment(row["finished_at"]),
    }


def _error(row: dict[str, Any]) -> dict[str, str] | None:
    if row["error_code"] is None:
        return None
    return {"code": row["error_code"], "message": row["error_message"] or ""}


def _usage(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "usage": {"input_tokens": row["input_tokens"], "output_tokens": row["output_tokens"]},
        "cost_usd": usd(row["cost_nano_usd"]),
    }


def _attempts(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ended attempts, and the one that is running as its task row tells it."""
    attempts = [
        {
            "number": row["number"],
            "epoch": row["epoch"],
            "generation": row["generation"],
            "worker": row["worker"],
            "outcome": row["outcome"],
            "error": _error(row),
            **_usage(row),
            "started_at": moment(row["started_at"]),
            "finished_at": moment(row["finished_at"]),
        }
        for row in select(ATTEMPTS, {"id": task["id"]})
    ]
    if task["status"] == TaskStatus.RUNNING:
        attempts.append(_open_attempt(task))
    return attempts


def _open_attempt(task: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": task["attempt"],
        "epoch": task["epoch"],
        "generation": task["generation"],
        "worker": task["worker"],
        "outcome": None,
        "error": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "cost_usd": 0.0,
        "started_at": moment(task["started_at"]),
        "finished_at": None,
    }


def _private_part(row: dict[str, Any]) -> dict[str, Any]:
    lines = select(LOG, {"id": row["id"], "limit": LOG_LINES})
    return {
        "log": [
            {"epoch": line["epoch"], "at": moment(line["written_at"]), "text": line["text"]}
            for line in lines
        ],
        "input": stored_json(row["input"]),
        "parameters": stored_json(row["parameters"]) or msgspec.Raw(b"{}"),
        "result": stored_json(row["result"]),
        "result_sha256": row["result_sha256"],
    }
