"""Building blocks for tests of the domain: submit, register, claim, settle, through the actions."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from access.actors import LOCAL_OPERATOR
from access.models import Tenant
from jobs.actions import fleet, premises, settle, submit
from jobs.actions.claim import Claimer, ClaimRequest, claim_tasks
from jobs.actions.settle import Answer, Report, ReportKind, SettleRequest
from jobs.models import Job, Task, Worker
from jobs.planner.request import parse_job_request
from jobs.transitions.claiming import ClaimedRow

LEASE_SECONDS = 15.0
KINDS = ("echo", "chat", "embed", "cluster", "label", "reduce", "report")
MODELS = ("smollm2-135m", "minilm-l6-v2")


def tenant(name: str = "default") -> Tenant:
    """The tenant's row."""
    return Tenant.objects.get_or_create(name=name)[0]


def submit_job(body: dict[str, Any], *, owner: str = "default", key: str | None = None) -> Job:
    """Submit a body as REST would."""
    raw = json.dumps(body).encode()
    done = submit.submit_job(
        request=parse_job_request(raw),
        documents=(),
        premises=premises.ask(tenant=tenant(owner).name, policy=parse_job_request(raw).policy),
        actor=LOCAL_OPERATOR,
        idempotency_key=key,
        request_sha256=str(hash(raw)),
    )
    return Job.objects.get(pk=done.job_id)


def submit_echo(count: int, *, owner: str = "default", **more: object) -> Job:
    """A batch of ``count`` echo requests."""
    requests = [{"custom_id": f"r-{n}", "kind": "echo", "input": n} for n in range(count)]
    return submit_job({"type": "batch", "requests": requests, **more}, owner=owner)


def submit_pipeline(*tasks: dict[str, Any], **more: object) -> Job:
    """A pipeline; tasks without a kind echo."""
    return submit_job(
        {"type": "pipeline", "tasks": [{"kind": "echo", **task} for task in tasks], **more}
    )


@dataclass
class Hand:
    """A worker played by the test."""

    worker: Worker
    claimer: Claimer = field(default_factory=Claimer)
    lease_seconds: float = LEASE_SECONDS

    def claim(
        self, want: int = 1, *, is_waiting: Callable[[], bool] = lambda: True
    ) -> list[ClaimedRow]:
        """Claim up to ``want`` tasks."""
        self.worker.refresh_from_db()
        request = ClaimRequest(self.worker, want, self.lease_seconds, is_waiting)
        return claim_tasks([request], self.claimer)[0]

    def settle(self, *reports: Report) -> list[Answer]:
        """Report outcomes."""
        return settle.settle([SettleRequest(self.worker, reports)])[0]

    def succeed(self, tasks: Sequence[ClaimedRow], result: object = None) -> list[Answer]:
        """Settle all of these as successes."""
        return self.settle(*(success(task, result) for task in tasks))

    def fail(self, tasks: Sequence[ClaimedRow], error_class: str = "permanent") -> list[Answer]:
        """Settle all of these as failures."""
        return self.settle(*(failure(task, error_class) for task in tasks))

    def beat(self, tasks: Sequence[ClaimedRow], free_slots: int = 1) -> fleet.Pulse:
        """Send a heartbeat that names these tasks."""
        held = [fleet.Share(task.id, task.epoch) for task in tasks]
        return fleet.heartbeat(self.worker, held, free_slots=free_slots, claimer=self.claimer)


def success(task: ClaimedRow, result: object = None) -> Report:
    """The report of a success."""
    return Report(task.id, task.epoch, ReportKind.SUCCEEDED, json.dumps(result))


def failure(task: ClaimedRow, error_class: str = "permanent", code: str = "broken") -> Report:
    """The report of a failure."""
    return Report(
        task.id,
        task.epoch,
        ReportKind.FAILED,
        error_class=error_class,
        error_code=code,
        error_message="it broke",
    )


def register(
    *,
    pool: str = "default",
    slots: int = 16,
    kinds: Sequence[str] = KINDS,
    models: Sequence[str] = MODELS,
    owner: str | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> Hand:
    """A worker that has registered."""
    worker = fleet.register(
        fleet.Registration(
            incarnation=str(uuid.uuid4()),
            token_fingerprint="test",
            tenant=tenant(owner).pk if owner else None,
            name="alice",
            node="node-1",
            pool=pool,
            slots=slots,
            kinds=kinds,
            models=models,
            version="test",
        )
    )
    return Hand(worker, lease_seconds=lease_seconds)


def statuses(job: Job) -> list[str]:
    """The statuses of a job's tasks, in order."""
    tasks = Task.objects.filter(id__gte=job.pk << 20, id__lt=(job.pk + 1) << 20).order_by("id")
    return list(tasks.values_list("status", flat=True))


def reloaded(job: Job) -> Job:
    """The job as it is now."""
    return Job.objects.get(pk=job.pk)
