"""Per-task results as JSON lines, streamed in input order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from jobs.models import Job
from jobs.queries.artifacts import read_blob
from jobs.queries.formats import one_line, select, stored_json
from jobs.states import TASK_BITS, task_name

PAGE_TASKS: Final = 200
"""Tasks read at once: at 64 KiB of inline result each, 13 MiB at most."""

LINES = """
select t.id, i.name, t.kind, t.status, t.result, t.result_sha256, t.error_code, t.error_message,
    coalesce(b.media_type, '') as media_type
from task t left join task_input i on i.task_id = t.id
    left join artifact b on b.tenant_id = t.tenant_id and b.sha256 = t.result_sha256
where t.id > %(after)s and t.id < %(high)s order by t.id limit %(limit)s
"""


def result_lines(job: Job) -> Iterator[bytes]:
    """Yield a line per task: ``{task, name, kind, status, result, error}``.

    Large results are put in from their artifact when they are JSON, else named by ``sha256``.
    """
    after = job.pk << TASK_BITS
    high = (job.pk + 1) << TASK_BITS
    while rows := select(LINES, {"after": after, "high": high, "limit": PAGE_TASKS}):
        yield b"".join(msgspec.json.encode(_line(job, row)) + b"\n" for row in rows)
        after = rows[-1]["id"]


def _line(job: Job, row: dict[str, Any]) -> dict[str, Any]:
    error = row["error_code"]
    line: dict[str, Any] = {
        "task": task_name(row["id"]),
        "name": row["name"],
        "kind": row["kind"],
        "status": row["status"],
        "result": stored_json(row["result"]),
        "error": {"code": error, "message": row["error_message"] or ""} if error else None,
    }
    if row["result"] is None and row["result_sha256"]:
        line |= _from_artifact(job, row)
    return line


def _from_artifact(job: Job, row: dict[str, Any]) -> dict[str, Any]:
    if row["media_type"].partition(";")[0] != "application/json":
        return {"sha256": row["result_sha256"]}
    return {"result": one_line(read_blob(job.tenant_id, row["result_sha256"]))}
