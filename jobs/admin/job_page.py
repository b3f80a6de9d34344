"""The page of one job: how far, why not faster, what happened, what may be done."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from jobs.admin.control import possible_moves
from jobs.admin.graph import Graph, draw, plan_graph
from jobs.admin.timeline import timeline_context
from jobs.admin.words import BADGES, EVENTS
from jobs.models import Job, JobEvent
from jobs.queries.explain import explain_job
from jobs.queries.jobs import job_document
from jobs.queries.plan_graph import plan_parts
from jobs.queries.tasks import list_tasks
from jobs.queries.timeline import timeline
from jobs.states import JOB_ENDS, MAX_TASKS, TaskStatus, job_name, split_task_id, task_name

PAGE_TASKS: Final = 50
NEWEST_EVENTS: Final = 30
NAMED_TASKS: Final = 3


def page_context(job: Job, query: QueryDict, *, may_control: bool, now: datetime) -> dict[str, Any]:
    """Return what the page shows; a constant number of statements, whatever the job's size."""
    status = query.get("tasks", "")
    status = status if status in set(TaskStatus) else ""
    offset = _offset(query.get("from", ""))
    tasks = list_tasks(job, status=status or None, worker=None, limit=PAGE_TASKS, offset=offset)
    document = job_document(job, now=now)
    found = timeline(job, total=document["progress"]["total"])
    return {
        "job": document,
        "open": job.status not in JOB_ENDS,
        "explanation": explain_job(job, now=now),
        "events": events(job),
        "tasks": [{**task, "address": task_address(task["id"])} for task in tasks["items"]],
        "task_status": status,
        "task_filters": task_filters(document["progress"], status),
        "task_pages": _pages(tasks, status),
        **_drawings(plan_graph(plan_parts(job), document["stages"])),
        "timeline": timeline_context(found, document["stages"], now=now),
        "moves": possible_moves(job) if may_control else [],
    }


def _drawings(graph: Graph | None) -> dict[str, Any]:
    """Return the plan twice, for a wide page and for a narrow one."""
    if graph is None or not graph.boxes:
        return {"graph": None}
    addresses = {box.key: task_address(task_name(box.task)) for box in graph.boxes if box.task}
    return {
        "graph": {
            "across": draw(graph, addresses),
            "down": draw(graph, addresses, down=True),
            "by_stage": graph.by_stage,
        }
    }


def events(job: Job) -> list[dict[str, Any]]:
    """Return the newest events, the newest first, with what they touched in words."""
    return _events(JobEvent.objects.filter(job_id=job.pk))


def task_history(job: Job, task: int) -> list[dict[str, Any]]:
    """Return the newest events that touched a task, of every generation; the newest first."""
    return _events(JobEvent.objects.filter(job_id=job.pk, task_ids__contains=[task]))


def _events(found: QuerySet[JobEvent]) -> list[dict[str, Any]]:
    return [
        {
            "at": row.happened_at,
            "word": EVENTS[row.kind],
            "actor": row.actor,
            "tasks": _tasks_in_words(row.task_ids),
            "details": _details_in_words(row.details),
        }
        for row in found.order_by("-id")[:NEWEST_EVENTS]
    ]


def task_filters(progress: dict[str, Any], chosen: str) -> list[dict[str, Any]]:
    """Return the filters above the tasks, each with its count."""
    counts = {
        TaskStatus.BLOCKED: progress["blocked"],
        TaskStatus.QUEUED: progress["queued"],
        TaskStatus.RUNNING: progress["running"],
        TaskStatus.SUCCEEDED: progress["succeeded"],
        TaskStatus.DEAD_LETTERED: progress["dead_lettered"],
        TaskStatus.CANCELLED: progress["cancelled"],
    }
    everything = {"value": "", "word": "All", "tasks": progress["total"], "chosen": not chosen}
    return [everything] + [
        {
            "value": status.value,
            "word": BADGES[status].word,
            "tasks": tasks,
            "chosen": chosen == status,
        }
        for status, tasks in counts.items()
    ]


def task_address(name: str) -> str:
    """Return the address of the page of the task ``job-7-3``."""
    job, number = name.rsplit("-", 1)
    return reverse("admin:jobs_task", args=[job, number])


def _offset(text: str) -> int:
    small = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TASKS))
    return int(text) if small else 0


def _pages(tasks: dict[str, Any], status: str) -> dict[str, Any]:
    """Return where the page of tasks lies among them all, and the addresses beside it."""
    offset, shown = tasks["offset"], len(tasks["items"])
    return {
        "first": offset + 1 if shown else 0,
        "last": offset + shown,
        "total": tasks["total"],
        "before": _tasks_from(max(offset - PAGE_TASKS, 0), status) if offset else None,
        "after": _tasks_from(offset + shown, status) if offset + shown < tasks["total"] else None,
    }


def _tasks_from(offset: int, status: str) -> str:
    query = QueryDict(mutable=True)
    query.update({"tasks": status} if status else {})
    query.update({"from": str(offset)} if offset else {})
    return f"?{query.urlencode()}#tasks"


def _tasks_in_words(identifiers: list[int]) -> str:
    """Return ``tasks 3, 4, 5 and 12 more``, or nothing where an event names none."""
    if not identifiers:
        return ""
    numbers = [f"{split_task_id(task)[1]}" for task in identifiers]
    named = ", ".join(numbers[:NAMED_TASKS])
    rest = len(numbers) - NAMED_TASKS
    word = "task" if len(numbers) == 1 else "tasks"
    return f"{word} {named} and {rest:,} more" if rest > 0 else f"{word} {named}"


def _details_in_words(details: dict[str, Any]) -> str:
    plain = (
        (name, value) for name, value in details.items() if isinstance(value, str | int | float)
    )
    return " · ".join(f"{name.replace('_', ' ')} {value}" for name, value in plain)


def job_address(job: Job) -> str:
    """Return the address of a job's page."""
    return reverse("admin:jobs_job_change", args=[job_name(job.pk)])
