"""Finding the job, task or file that an address names, among those the caller may see."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from access.actors import OPERATOR, Actor
from jobs.errors import NotFound
from jobs.failures import MISSING_DETAIL
from jobs.models import Job
from jobs.states import MAX_TASKS, TASK_BITS, task_id

JOB_NAME = re.compile(r"job-([1-9][0-9]{0,12})", re.ASCII)
TASK_NAME = re.compile(r"job-([1-9][0-9]{0,12})-([1-9][0-9]{0,6})", re.ASCII)
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# Beyond it a task's number would not fit the database's 64 bits.
MAX_JOB: Final = 2 ** (63 - TASK_BITS) - 1


def visible_jobs(actor: Actor, *, private: bool = False) -> QuerySet[Job]:
    """Return the jobs the caller may see.

    Operators see every tenant's metadata; with `private` (inputs, results, reports, changes)
    only the caller's own tenants' jobs are in it.
    """
    jobs = Job.objects.select_related("tenant", "pool", "policy_revision__policy")
    names = actor.tenant_names()
    if names == "*" or (not private and actor.may(OPERATOR)):
        return jobs
    return jobs.filter(tenant__name__in=sorted(names))


def find_job(identifier: str, actor: Actor, *, private: bool = False) -> Job:
    """Return the job called ``job-7`` or by its uid.

    Raises NotFound, the same for jobs that never were and for those of others.
    """
    condition = _job_condition(identifier)
    job = visible_jobs(actor, private=private).filter(condition).first() if condition else None
    if job is None:
        raise missing()
    return job


def task_of(job: Job, identifier: str) -> int:
    """Return the database id of the job's task called ``job-7-3``; NotFound when misspelt."""
    match = TASK_NAME.fullmatch(identifier)
    if match is None or int(match[1]) != job.pk or int(match[2]) > MAX_TASKS:
        raise missing()
    return task_id(job.pk, int(match[2]))


def task_number(identifier: str) -> int | None:
    """Return the database id of the task called ``job-7-3``; None when it can be no task's name."""
    match = TASK_NAME.fullmatch(identifier)
    if match is None or int(match[1]) > MAX_JOB or int(match[2]) > MAX_TASKS:
        return None
    return task_id(int(match[1]), int(match[2]))


def job_numbers(identifiers: Iterable[str]) -> dict[str, int]:
    """Return the numbers of jobs by ``job-7`` or uid; what can be no job's is left out."""
    numbers: dict[str, int] = {}
    uids: dict[str, UUID] = {}
    for identifier in identifiers:
        if (name := JOB_NAME.fullmatch(identifier)) and int(name[1]) <= MAX_JOB:
            numbers[identifier] = int(name[1])
        elif UID.fullmatch(identifier):
            uids[identifier] = UUID(identifier)
    found = dict(Job.objects.filter(uid__in=uids.values()).values_list("uid", "pk")) if uids else {}
    return numbers | {text: found[uid] for text, uid in uids.items() if uid in found}


def parse_uid(identifier: str) -> UUID:
    """Return a uid in its canonical spelling; NotFound otherwise."""
    if UID.fullmatch(identifier) is None:
        raise missing()
    return UUID(identifier)


def owned_tenants(actor: Actor) -> dict[str, Any]:
    """Return the filter on ``tenant`` that leaves a caller its own rows."""
    names = actor.tenant_names()
    return {} if names == "*" else {"tenant__name__in": sorted(names)}


def missing() -> NotFound:
    """Return the one error for everything that is not there or not the caller's."""
    return NotFound(MISSING_DETAIL)


def _job_condition(identifier: str) -> Q | None:
    name = JOB_NAME.fullmatch(identifier)
    if name is not None:
        return Q(pk=int(name[1])) if int(name[1]) <= MAX_JOB else None
    return Q(uid=UUID(identifier)) if UID.fullmatch(identifier) else None
