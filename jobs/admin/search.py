"""The console's search: by exact ids and by how names begin, each an index's work, never a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model
from django.urls import reverse

from access.actors import SYSTEM
from access.models import ApiToken, Tenant
from access.token_text import PREFIX, SHOWN_CHARACTERS
from jobs.admin.job_list import named_job
from jobs.admin.job_page import job_address, task_address
from jobs.errors import NotFound
from jobs.models import ModelEndpoint, Policy, Pool, Task
from jobs.queries.lookup import find_job, task_number
from jobs.queries.workers import list_workers

MOST_OF_A_KIND: Final = 5
MOST_CHARACTERS: Final = 100


@dataclass(frozen=True)
class Found:
    """One thing that was found: what it is called, what it is, and its page."""

    title: str
    description: str
    link: str
    icon: str


NAMED: Final[tuple[tuple[type[Model], str, str], ...]] = (
    (Tenant, "Tenant", "apartment"),
    (Policy, "Policy", "shield"),
    (Pool, "Pool", "stacks"),
    (ModelEndpoint, "Model endpoint", "memory"),
    (ApiToken, "Token", "key"),
)
"""What is found by the beginning of its name, with its icon."""


def search(text: str, user: Any) -> list[Found]:
    """Return what is called that, ids first; only what the user may see."""
    wanted = text.replace("\0", "").strip()[:MOST_CHARACTERS]
    if not wanted:
        return []
    return [
        *_jobs(wanted, user),
        *_tasks(wanted, user),
        *_tokens(wanted, user),
        *_workers(wanted, user),
        *(found for kind in NAMED for found in _named(wanted, user, *kind)),
    ]


def _jobs(wanted: str, user: Any) -> list[Found]:
    name = named_job(wanted)
    if name is None or not user.has_perm("jobs.view_job"):
        return []
    try:
        job = find_job(name, SYSTEM)
    except NotFound:
        return []
    about = f"Job · {job.type} · {job.tenant.name} · {job.status}"
    return [Found(str(job), about, job_address(job), "list")]


def _tasks(wanted: str, user: Any) -> list[Found]:
    name = wanted.lower()
    number = task_number(name)
    if number is None or not user.has_perm("jobs.view_job"):
        return []
    task = Task.objects.filter(pk=number).only("status", "kind").first()
    if task is None:
        return []
    return [Found(name, f"Task · {task.kind} · {task.status}", task_address(name), "task")]


def _tokens(wanted: str, user: Any) -> list[Found]:
    """By how the token itself begins, as lists and records show it."""
    if not wanted.startswith(PREFIX) or not user.has_perm("access.view_apitoken"):
        return []
    rows = ApiToken.objects.filter(prefix=wanted[:SHOWN_CHARACTERS])[:MOST_OF_A_KIND]
    return [_found(ApiToken, token.name, "Token", "key") for token in rows]


def _workers(wanted: str, user: Any) -> list[Found]:
    if not user.has_perm("jobs.view_worker"):
        return []
    rows = [
        row
        for row in list_workers()
        if row["name"].startswith(wanted)
        or row["node"].startswith(wanted)
        or wanted == f"worker-{row['id']}"
    ]
    return [
        Found(
            row["name"],
            f"Worker · {row['node']} · {row['pool']} · {row['state']}",
            reverse("admin:jobs_worker_change", args=[row["id"]]),
            "dns",
        )
        for row in rows[:MOST_OF_A_KIND]
    ]


def _named(wanted: str, user: Any, model: type[Model], what: str, icon: str) -> list[Found]:
    options = model._meta
    if not user.has_perm(f"{options.app_label}.view_{options.model_name}"):
        return []
    rows = model._default_manager.filter(name__startswith=wanted).order_by("name")
    names = rows.values_list("name", flat=True)[:MOST_OF_A_KIND]
    return [_found(model, name, what, icon) for name in names]


def _found(model: type[Model], name: str, what: str, icon: str) -> Found:
    options = model._meta
    page = f"admin:{options.app_label}_{options.model_name}_change"
    return Found(name, what, reverse(page, args=[name]), icon)
