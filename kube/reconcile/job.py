"""``AIJob``: the next step, the status, how long to wait."""

from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from enum import Enum
from typing import Any

from kube.reconcile.conditions import Holds, condition, conditions, read_moment, written
from kube.reconcile.refusals import Refusal

FINALIZER = "daef.io/job-cleanup"
FORCE_ANNOTATION = "daef.io/force-finalize"
"""With the value "true" on an ``AIJob``: let it go without asking the fabric."""

UID_LABEL = "daef.io/uid"
"""The label of a job in the fabric that names the resource it was made for."""

ENDS = frozenset({"Succeeded", "PartiallySucceeded", "Failed", "Cancelled"})
GOOD_ENDS = frozenset({"Succeeded", "PartiallySucceeded"})
MOST_STAGES = 16
MOST_FAILURES = 10
STATUS_SECONDS = 2.0
"""Least time between two writes of one status."""

KEY_SECONDS = 12 * 3_600
"""Half of what the fabric keeps an Idempotency-Key: after that a job is looked for first."""

READS_PER_SECOND = 25
"""Most reads of jobs that all active resources together ask of the fabric."""

Resource = dict[str, Any]
Job = dict[str, Any]
Status = dict[str, Any]


class Step(Enum):
    """What to do next with an ``AIJob``."""

    RELEASE = "take the finalizer off"
    FORCE = "take the finalizer off without asking the fabric"
    FINALIZE = "add the finalizer"
    SUBMIT = "submit the job"
    FIND = "look for a job that was submitted without being written down"
    CANCEL = "cancel the job"
    SUSPEND = "suspend the job"
    RESUME = "resume the job"
    DELETE = "delete the resource"
    OBSERVE = "write down where the job is"


def is_deleted(resource: Resource) -> bool:
    """Whether somebody deleted it and the finalizer holds it."""
    return "deletionTimestamp" in resource["metadata"]


def job_name(resource: Resource) -> str:
    """The job in the fabric, as far as the status knows."""
    return str(resource.get("status", {}).get("jobName", ""))


def is_refused(resource: Resource) -> bool:
    """Whether it was ended without ever becoming a job."""
    return condition(resource, "Complete").get("status") == "True" and not job_name(resource)


def first_step(resource: Resource, now: datetime) -> Step | None:
    """What can be decided without asking the fabric; None: read the job ``jobName`` first."""
    metadata = resource["metadata"]
    if is_deleted(resource):
        if FINALIZER not in metadata.get("finalizers", ()):
            return Step.OBSERVE
        if metadata.get("annotations", {}).get(FORCE_ANNOTATION) == "true":
            return Step.FORCE
        if is_refused(resource):
            return Step.RELEASE
        return None if job_name(resource) else Step.FIND
    if FINALIZER not in metadata.get("finalizers", ()):
        return Step.FINALIZE
    if job_name(resource):
        return None
    if is_refused(resource):
        return Step.OBSERVE
    made = read_moment(resource["metadata"]["creationTimestamp"])
    is_old = (now - made).total_seconds() > KEY_SECONDS
    return Step.FIND if is_held_back(resource) or is_old else Step.SUBMIT


def is_held_back(resource: Resource) -> bool:
    """Whether it is not to be submitted as its spec stands."""
    return bool(resource["spec"].get("cancel") or resource["spec"].get("suspend"))


def next_step(resource: Resource, job: Job | None) -> Step:
    """What follows from where the job is; ``job`` is None where the fabric has none."""
    if job is None:
        return Step.RELEASE if is_deleted(resource) else Step.OBSERVE
    if is_over(job):
        return Step.RELEASE if is_deleted(resource) else Step.OBSERVE
    if job["status"] in ENDS:
        return Step.OBSERVE
    spec = resource["spec"]
    if is_deleted(resource) or spec.get("cancel"):
        return Step.CANCEL
    if spec.get("suspend"):
        return Step.OBSERVE if job["status"] == "Suspended" else Step.SUSPEND
    # One that was suspended over REST stays so until somebody changes the resource.
    changed = resource.get("status", {}).get("observedGeneration") != resource["metadata"].get(
        "generation"
    )
    return Step.RESUME if job["status"] == "Suspended" and changed else Step.OBSERVE


def is_over(job: Job) -> bool:
    """Whether it ended and nothing of it runs any more."""
    return job["status"] in ENDS and not job["progress"]["running"]


def is_expired(resource: Resource, now: datetime) -> bool:
    """Whether its time after the end is over."""
    left = seconds_left(resource, now)
    return left is not None and left <= 0


def seconds_left(resource: Resource, now: datetime) -> float | None:
    """How long it is kept; None for ever, or while it has not ended."""
    kept = resource["spec"].get("ttlSecondsAfterFinished")
    ended = condition(resource, "Complete")
    if kept is None or ended.get("status") != "True" or is_deleted(resource):
        return None
    due = read_moment(ended["lastTransitionTime"]) + timedelta(seconds=kept)
    return (due - now).total_seconds()


def seconds_to_next_read(active: int) -> float:
    """How often each of so many active jobs is read."""
    return max(STATUS_SECONDS, active / READS_PER_SECOND)


# ── status ────────────────────────────────────────────────────────────────────────────────────────


def status_of(
    resource: Resource, job: Job, failures: list[dict[str, Any]], now: datetime
) -> Status:
    """The status while the fabric has the job."""
    progress, budget = job["progress"], job["budget"]
    ended = sum(progress[each] for each in ("succeeded", "dead_lettered", "cancelled"))
    spent = Decimal(str(job["cost_usd"]))
    status = {
        "observedGeneration": resource["metadata"].get("generation", 0),
        "jobName": job["id"],
        "jobUID": job["uid"],
        "state": job["status"],
        "reason": job["reason"],
        "message": job["message"][:1024],
        "policy": job["policy"],
        "pool": job["pool"],
        "completions": f"{ended}/{progress['total']}",
        "tasks": _counts(progress, *TASKS),
        "percent": round(progress["percent"]),
        "stages": [_stage(each) for each in job["stages"][:MOST_STAGES]],
        "usage": {
            "inputTokens": job["usage"]["input_tokens"],
            "outputTokens": job["usage"]["output_tokens"],
        },
        "spend": {
            "settledMicros": _micros(spent),
            "reservedMicros": _micros(Decimal(str(budget["reserved_usd"]))),
        },
        "costUSD": f"{spent:.6f}",
        "failures": failures[:MOST_FAILURES],
        "startTime": job["started_at"],
        "completionTime": job["finished_at"],
    }
    return _with_conditions(resource, status, list(_holds(job)), now)


TASKS = ("total", "blocked", "queued", "running", "succeeded", "dead_lettered", "cancelled")
STAGE = ("total", "running", "succeeded", "dead_lettered")


def status_without_job(resource: Resource, refusal: Refusal, now: datetime) -> Status:
    """The status of one that the fabric does not have: refused for good, or not yet."""
    why = refusal.reason, refusal.message
    status = {
        "observedGeneration": resource["metadata"].get("generation", 0),
        "reason": refusal.reason,
        "message": refusal.message[:1024],
    }
    if refusal.passes:
        ends = [Holds("Succeeded", None, "InProgress"), Holds("Complete", False, "InProgress")]
    else:
        status["state"] = "Failed"
        ends = [Holds("Succeeded", False, *why), Holds("Complete", True, *why)]
    holds = [Holds("Accepted", False, *why), Holds("Running", False, "NotAccepted"), *ends]
    return _with_conditions(resource, status, holds, now)


def status_held_back(resource: Resource, now: datetime) -> Status:
    """The status of one that waits, or was cancelled, before it was ever submitted."""
    cancelled = bool(resource["spec"].get("cancel"))
    reason = "Cancelled" if cancelled else "Suspended"
    status = {
        "observedGeneration": resource["metadata"].get("generation", 0),
        "state": reason,
        "reason": reason,
    }
    suspended = "NotSuspended" if cancelled else "UserSuspended"
    end = "Cancelled" if cancelled else "InProgress"
    holds = [
        Holds("Running", False, "NotAccepted"),
        Holds("Suspended", not cancelled, suspended),
        Holds("Succeeded", False if cancelled else None, end),
        Holds("Complete", cancelled, end),
    ]
    return _with_conditions(resource, status, holds, now)


def status_of_lost(resource: Resource, now: datetime) -> Status:
    """The status where the fabric no longer has the job: what was known, and that it is over."""
    status = {
        name: value for name, value in resource.get("status", {}).items() if name != "conditions"
    }
    if condition(resource, "Complete").get("status") == "True":
        return dict(resource["status"])
    status["observedGeneration"] = resource["metadata"].get("generation", 0)
    why = "InvalidInput", "The fabric has no such job any more: it was removed, or restored away."
    holds = [
        Holds("Accepted", False, *why),
        Holds("Running", False, "NotAccepted"),
        Holds("Succeeded", False, *why),
        Holds("Complete", True, *why),
    ]
    return _with_conditions(resource, status, holds, now)


def status_unseen(resource: Resource, refusal: Refusal, now: datetime) -> Status:
    """The status while nobody can tell where the job is: what was known last, and why."""
    before = resource.get("status", {})
    if condition(resource, "Complete").get("status") == "True" and not is_deleted(resource):
        return dict(before)
    kept = {name: value for name, value in before.items() if name != "conditions"}
    message = refusal.message
    if is_deleted(resource):
        message = (
            f"Its job cannot be ended. {message} To let it go all the same, its job running on: "
            f"kubectl annotate aijob {resource['metadata']['name']} {FORCE_ANNOTATION}=true"
        )
    status = {**kept, "reason": refusal.reason, "message": message[:1024]}
    unknown = Holds("Running", None, refusal.reason, message)
    generation = resource["metadata"].get("generation", 0)
    former = before.get("conditions", ())
    [running] = conditions(former, [unknown], generation, written(now))
    others = [each for each in former if each["type"] != "Running"]
    return {**status, "conditions": [*others, running]}


def _holds(job: Job) -> list[Holds]:
    why = job["reason"], job["message"]
    suspended = job["status"] == "Suspended"
    if job["status"] not in ENDS:
        ends = [Holds("Succeeded", None, "InProgress"), Holds("Complete", False, "InProgress")]
    else:
        over = is_over(job)
        ends = [
            Holds("Succeeded", job["status"] in GOOD_ENDS, *why),
            Holds("Complete", over, *(why if over else ("InProgress", "Tasks are being stopped."))),
        ]
    return [
        Holds("Accepted", True, "Submitted"),
        Holds("Running", job["progress"]["running"] > 0, *why),
        Holds("Suspended", suspended, "UserSuspended" if suspended else "NotSuspended"),
        *ends,
    ]


def _with_conditions(
    resource: Resource, status: Status, holds: list[Holds], now: datetime
) -> Status:
    before = resource.get("status", {}).get("conditions", ())
    generation = resource["metadata"].get("generation", 0)
    made = conditions(before, holds, generation, written(now))
    kept = {name: value for name, value in status.items() if value not in (None, "")}
    return {**kept, "conditions": made}


def _counts(progress: dict[str, Any], *names: str) -> dict[str, int]:
    return {
        {"dead_lettered": "deadLettered"}.get(name, name): int(progress[name]) for name in names
    }


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    return {"name": stage["name"], **_counts(stage, *STAGE)}


def _micros(usd: Decimal) -> int:
    return int((usd * 1_000_000).to_integral_value(ROUND_UP))


def failure_of(task: dict[str, Any]) -> dict[str, Any]:
    """A task that was given up, as a status tells it."""
    error = task.get("error") or {}
    return {
        "task": task["id"],
        "code": str(error.get("code", ""))[:63],
        "message": str(error.get("message", ""))[:256],
    }


def event_of(before: Status, after: Status) -> tuple[str, str, bool] | None:
    """The one thing worth an event between two statuses: reason, message, whether it is bad."""
    old = {each["type"]: each["status"] for each in before.get("conditions", ())}
    new = {each["type"]: each for each in after.get("conditions", ())}

    def became(kind: str, status: str) -> bool:
        return kind in new and new[kind]["status"] == status and old.get(kind) != status

    if became("Complete", "True"):
        good = new["Succeeded"]["status"] == "True"
        told = f"{new['Complete']['reason']}: {after.get('completions', 'never submitted')}"
        return ("JobSucceeded" if good else "JobEnded", told, not good)
    if became("Running", "Unknown"):
        return (new["Running"]["reason"], after["message"], True)
    if became("Accepted", "True"):
        return ("JobSubmitted", f"{after['jobName']} in pool {after['pool']}", False)
    if became("Accepted", "False"):
        return ("JobNotAccepted", f"{new['Accepted']['reason']}: {after['message']}", True)
    if became("Suspended", "True"):
        return ("JobSuspended", "no more of its tasks are started", False)
    if old.get("Suspended") == "True" and became("Suspended", "False"):
        return ("JobResumed", "its tasks may start again", False)
    return None
