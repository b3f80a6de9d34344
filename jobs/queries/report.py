"""The report of a job: what it found, what it cost, what failed; also while it still runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from jobs.models import DeadLetter, Job
from jobs.queries.artifacts import read_blob
from jobs.queries.formats import moment, select
from jobs.queries.jobs import job_document
from jobs.states import JOB_ENDS, TASK_BITS, TaskStatus, job_name, task_name

MAX_FAILURES: Final = 100
"""Failures that are listed; ``progress.dead_lettered`` counts them all."""

MAX_OUTPUTS: Final = 100
"""Final tasks whose results are in a pipeline's report; ``/results`` streams them all."""

MAX_OUTPUT_BYTES: Final = 64 * 1024

# Final tasks are those that nothing depends on; the newest comes first.
FINALS = """
select t.id, i.name, t.kind, t.status, t.result, t.result_sha256, i.model
from task t left join task_input i on i.task_id = t.id
where t.id >= %(low)s and t.id < %(high)s and t.fanout = 0
    and (%(kind)s::text is null or t.kind = %(kind)s)
order by t.id desc limit %(limit)s
"""

BY_KIND = """
select t.id, i.name, t.result, i.input from task t left join task_input i on i.task_id = t.id
where t.id >= %(low)s and t.id < %(high)s and t.kind = %(kind)s and t.status = 'Succeeded'
order by t.id limit %(limit)s
"""

ERROR_GROUPS = """
select error_code as code, count(*)::int as tasks, min(error_message) as message
from dead_letter where job_id = %(job)s group by error_code order by tasks desc, code limit 20
"""


def report_document(job: Job, *, now: datetime) -> dict[str, Any]:
    """Return the report in the contract's shape; ``complete`` is false while the job runs."""
    document = job_document(job, now=now)
    report = {
        "job": job_name(job.pk),
        "type": job.type,
        "status": job.status,
        "complete": job.status in JOB_ENDS,
        "generated_at": moment(now),
        "input": job.input,
        "documents": job.documents,
        "plan": job.plan,
        "policy": document["policy"],
        "usage": document["usage"],
        "cost_usd": document["cost_usd"],
        "budget": document["budget"],
        "duration_seconds": _duration(job, now),
        "progress": document["progress"],
        "stages": document["stages"],
        "failures": _failures(job.pk),
    }
    body = _BODIES.get(job.type, _outputs_body)(job)
    return {**report, **body, "summary": body.get("summary") or _plain_summary(job, document)}


def _duration(job: Job, now: datetime) -> float:
    end = job.finished_at or now
    return round(max((end - job.created_at).total_seconds(), 0.0), 3)


def _failures(job_id: int) -> list[dict[str, str]]:
    rows = DeadLetter.objects.filter(job_id=job_id).order_by("task_id")[:MAX_FAILURES]
    return [
        {"task": task_name(row.task_id), "code": row.error_code, "message": row.error_message}
        for row in rows
    ]


def _plain_summary(job: Job, document: dict[str, Any]) -> str:
    progress = document["progress"]
    ended = progress["total"] - progress["blocked"] - progress["queued"] - progress["running"]
    if job.status not in JOB_ENDS:
        return f"Incomplete: {ended} of {progress['total']} tasks have ended; figures will move."
    failed = f", {progress['dead_lettered']} failed" if progress["dead_lettered"] else ""
    return f"{job.status}: {progress['succeeded']} of {progress['total']} tasks succeeded{failed}."


def _range(job: Job, **more: Any) -> dict[str, Any]:
    return {"low": job.pk << TASK_BITS, "high": (job.pk + 1) << TASK_BITS, **more}


def _finals(job: Job, kind: str | None, limit: int) -> list[dict[str, Any]]:
    return select(FINALS, _range(job, kind=kind, limit=limit))


def _result(job: Job, row: dict[str, Any]) -> Any:
    """Return a task's parsed result, from its artifact where it is large; None without one."""
    text = row["result"]
    if text is None and row["result_sha256"]:
        text = read_blob(job.tenant_id, row["result_sha256"])
    try:
        return None if text is None else msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _analysis(job: Job) -> dict[str, Any]:
    """Return causes, unexplained and method of the ``report`` task, or the titles so far."""
    for row in _finals(job, "report", 1):
        result = _result(job, row) if row["status"] == TaskStatus.SUCCEEDED else None
        if isinstance(result, dict):
            return {**result, "summary": result.get("summary") or analysis_summary(result)}
    rows = select(BY_KIND, _range(job, kind="label", limit=MAX_OUTPUTS))
    return {"causes": [_cause_so_far(row) for row in rows], "unexplained": None, "method": None}


def _cause_so_far(row: dict[str, Any]) -> dict[str, Any]:
    label, asked = _object(row["result"]), _object(row["input"])
    return {
        "title": label.get("title", ""),
        "explanation": label.get("explanation", ""),
        "labelled_by": label.get("labelled_by", ""),
        "keywords": asked.get("keywords", []),
    }


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def analysis_summary(result: dict[str, Any]) -> str:
    """Return a sentence or two on how much the causes explain, and the largest of them."""
    causes = result.get("causes") or []
    explained = sum(cause.get("documents", 0) for cause in causes)
    total = explained + (result.get("unexplained") or {}).get("documents", 0)
    if not causes or not total:
        return "No causes were found."
    noun = "cause explains" if len(causes) == 1 else "causes explain"
    text = f"{len(causes)} {noun} {explained} of {total} documents ({explained / total:.1%})."
    largest = "; ".join(str(cause.get("title", "")) for cause in causes[:5])
    return f"{text} Largest first: {largest}." if largest else text


def _chat(job: Job) -> dict[str, Any]:
    rows = _finals(job, None, 1)
    result = _result(job, rows[0]) if rows else None
    answer = result.get("text") if isinstance(result, dict) else None
    model = (result.get("model") if isinstance(result, dict) else None) or (
        rows[0]["model"] if rows else None
    )
    body = {"answer": answer, "model": model or None, "summary": answer or ""}
    if job.documents:
        return {**body, "evidence": _chat_evidence(job)}
    return {**body, "note": _no_documents_note(model)}


def _no_documents_note(model: str | None) -> str:
    return (
        f"No documents were given, so this is what the model {model or '(none)'} says by itself. "
        'Send "documents" with the job, or a "file_id" from POST /v1/files, to have them read; '
        'with "type": "analyze" the answer is a report of causes with evidence.'
    )


def _chat_evidence(job: Job) -> list[dict[str, Any]]:
    """Return what each group of documents contributed, with the ids it was read from."""
    rows = select(BY_KIND, _range(job, kind="chat", limit=MAX_OUTPUTS))
    return [
        {
            "task": task_name(row["id"]),
            "document_ids": _document_ids(_object(row["input"])),
            "text": _object(row["result"]).get("text", ""),
        }
        for row in rows
    ]


def _document_ids(task_input: dict[str, Any]) -> list[str]:
    documents = task_input.get("documents") or []
    listed = [item.get("id") for item in documents if isinstance(item, dict)]
    return [str(identifier) for identifier in listed if identifier is not None]


def _batch(job: Job) -> dict[str, Any]:
    groups = select(ERROR_GROUPS, {"job": job.pk})
    return {"errors_by_code": groups, "results": f"/v1/jobs/{job_name(job.pk)}/results"}


def _outputs_body(job: Job) -> dict[str, Any]:
    rows = _finals(job, None, MAX_OUTPUTS)
    return {
        **_batch(job),
        "outputs": [
            {
                "task": task_name(row["id"]),
                "name": row["name"],
                "kind": row["kind"],
                "status": row["status"],
                "result": _small_result(row),
                "sha256": row["result_sha256"],
            }
            for row in reversed(rows)
        ],
    }


def _small_result(row: dict[str, Any]) -> Any:
    if row["result"] is None or len(row["result"]) > MAX_OUTPUT_BYTES:
        return None
    return msgspec.Raw(row["result"].encode())


_BODIES: Final[dict[str, Callable[[Job], dict[str, Any]]]] = {
    "analyze": _analysis,
    "chat": _chat,
    "batch": _batch,
    "embed": _batch,
    "pipeline": _outputs_body,
}
