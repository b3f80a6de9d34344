"""WorkerService: what agents call. Each method parses, checks, calls one action, renders."""

import re
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from access.models import Tenant
from access.scopes import TENANT_NAME
from faultpoints import reach
from jobs.actions import artifacts, fleet
from jobs.actions.claim import Claimer, ClaimRequest, claim_tasks
from jobs.actions.combiner import Combiner
from jobs.actions.settle import FENCED, Answers, SettleRequest
from jobs.actions.settle_apart import Settler
from jobs.errors import InvalidRequest, LeaseNotHeld
from jobs.metrics import FENCED as FENCED_OUTCOMES
from jobs.models import ModelEndpoint, Worker
from jobs.models.event import ACTOR_CHARACTERS
from jobs.rpc import conversion
from jobs.transitions.claiming import MAX_CLAIM, ClaimedRow
from proto.daef.v1 import worker_pb2, worker_pb2_grpc
from queueing.rq_client import queue_name

MAX_OUTCOMES = 1_000
MAX_HELD = 10_000
MAX_SLOTS = 1_024
MAX_NAMES = 1_000
"""Kinds, and models, that one agent may name: each of its claims compares with all of them."""
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+", re.ASCII)
MAX_TICKETS = 2**53
"""Beyond it the sums, which are floating point, would not count by one."""

COMBINED_CALLS = 16
WORKER_CACHE_SECONDS = 1.0


class WorkerService(worker_pb2_grpc.WorkerServiceServicer):
    """The agents' door. Claims and settlements that wait at the same time share a transaction."""

    def __init__(self) -> None:
        self._claimer = Claimer()
        self._workers: dict[int, tuple[float, Worker]] = {}
        self._settle: Combiner[SettleRequest, Answers] = Combiner(
            Settler().settle, most=COMBINED_CALLS
        )
        self._claim: Combiner[ClaimRequest, list[ClaimedRow]] = Combiner(
            lambda requests: claim_tasks(requests, self._claimer), most=COMBINED_CALLS
        )

    def Register(self, request: worker_pb2.RegisterRequest, context: Any) -> Any:
        """Bind a new incarnation to the caller's token."""
        worker = fleet.register(_registration(request, context))
        return worker_pb2.RegisterResponse(
            worker_id=worker.pk,
            lease_seconds=settings.DAEF_LEASE_SECONDS,
            heartbeat_seconds=fleet.heartbeat_seconds(),
            queue_url=settings.DAEF_REDIS_AGENT_URL,
            queue_name=queue_name(worker.pool.name),
            endpoints=map(conversion.endpoint_message, ModelEndpoint.objects.filter(enabled=True)),
        )

    def Claim(self, request: worker_pb2.ClaimRequest, context: Any) -> Any:
        """Claim up to ``want`` tasks.

        Agents ask when they were told of work, so nobody looks beforehand whether there is any.
        """
        worker = self._worker(request.worker_id, context)
        want = _between("want", request.want, 1, MAX_CLAIM)
        return worker_pb2.ClaimResponse(tasks=self._claimed(worker, want, context))

    def Settle(self, request: worker_pb2.SettleRequest, context: Any) -> Any:
        """Settle outcomes, then claim the next batch: one call, two transactions.

        They are two because settlements wait for the disk and claims need not: the claims of all
        agents go on in one thread while settlements are written in another.
        """
        worker = self._worker(request.worker_id, context)
        _between("outcomes", len(request.outcomes), 0, MAX_OUTCOMES)
        want = _between("want", request.want, 0, MAX_CLAIM)
        reports = [conversion.report_of(outcome) for outcome in request.outcomes]
        answers = self._settle(SettleRequest(worker, reports)) if reports else []
        FENCED_OUTCOMES.inc(answers.count(FENCED))
        reach("settle.after_commit_before_reply")
        return worker_pb2.SettleResponse(
            results=conversion.settle_results(request.outcomes, answers),
            tasks=self._claimed(worker, want, context) if want else (),
        )

    def Heartbeat(self, request: worker_pb2.HeartbeatRequest, context: Any) -> Any:
        """Renew the leases; say what is gone."""
        worker = self._worker(request.worker_id, context)
        _between("held", len(request.held), 0, MAX_HELD)
        pulse = fleet.heartbeat(
            worker,
            [fleet.Share(share.task_id, share.lease_epoch) for share in request.held],
            free_slots=_between("free_slots", request.free_slots, 0, MAX_SLOTS),
            tickets_taken=_between("tickets_taken", request.tickets_taken, 0, MAX_TICKETS),
            claimer=self._claimer,
        )
        return worker_pb2.HeartbeatResponse(
            gone=[
                worker_pb2.TaskLease(task_id=share.task_id, lease_epoch=share.epoch)
                for share in pulse.gone
            ],
            drain=pulse.drain,
            work_waiting=pulse.work_waiting,
        )

    def ReportProgress(self, request: worker_pb2.ReportProgressRequest, context: Any) -> Any:
        """Keep log lines of running tasks."""
        worker = self._worker(request.worker_id, context)
        artifacts.append_log(
            worker.pk, [(line.task_id, line.lease_epoch, line.text) for line in request.lines]
        )
        return worker_pb2.ReportProgressResponse()

    def ReadArtifact(self, request: worker_pb2.ReadArtifactRequest, context: Any) -> Iterator[Any]:
        """Stream what a running task may read."""
        worker = self._worker(request.worker_id, context)
        share = fleet.Share(request.task_id, request.lease_epoch)
        for data in artifacts.read(worker.pk, share, request.artifact):
            yield worker_pb2.ReadArtifactResponse(data=data)

    def WriteArtifact(self, requests: Iterator[Any], context: Any) -> Any:
        """Store a blob under a lease held."""
        first = next(requests, None)
        if first is None:
            raise InvalidRequest.field("data", "send at least one message that names the lease")
        worker = self._worker(first.worker_id, context)
        sha256, size = artifacts.write(
            worker.pk,
            fleet.Share(first.task_id, first.lease_epoch),
            _media_type(first.media_type),
            _data(first, requests),
        )
        return worker_pb2.WriteArtifactResponse(sha256=sha256, size_bytes=size)

    def Deregister(self, request: worker_pb2.DeregisterRequest, context: Any) -> Any:
        """End the incarnation."""
        worker = self._worker(request.worker_id, context)
        self._workers.pop(worker.pk, None)
        fleet.deregister(worker)
        return worker_pb2.DeregisterResponse()

    def _claimed(self, worker: Worker, want: int, context: Any) -> list[worker_pb2.ClaimedTask]:
        rows = self._claim(
            ClaimRequest(worker, want, settings.DAEF_LEASE_SECONDS, context.is_active)
        )
        if rows:
            reach("claim.after_commit_before_reply")
        return _that_fit(worker, rows)

    def _worker(self, number: int, context: Any) -> Worker:
        """The caller's own incarnation, from memory if it was looked up within the last second."""
        known = self._workers.get(number)
        if known is None or time.monotonic() - known[0] > WORKER_CACHE_SECONDS:
            worker = Worker.objects.select_related("pool").filter(pk=number).first()
            if worker is None or worker.state == "Gone":
                self._workers.pop(number, None)
                raise LeaseNotHeld("this worker is gone; register again")
            known = self._workers[number] = (time.monotonic(), worker)
        if known[1].token_fingerprint != context.actor.token_digest:
            raise LeaseNotHeld("this worker was registered with another token; register again")
        return known[1]


def _that_fit(worker: Worker, rows: Sequence[ClaimedRow]) -> list[worker_pb2.ClaimedTask]:
    """What one answer carries; an answer that is too large would never arrive, claim after claim.

    The others are given back at no cost to them.
    """
    tasks = conversion.claimed_tasks(rows)
    if len(tasks) < len(rows):
        fleet.give_back(worker, [row.id for row in rows[len(tasks) :]])
    return tasks


def _registration(request: worker_pb2.RegisterRequest, context: Any) -> fleet.Registration:
    try:
        incarnation = str(uuid.UUID(request.incarnation))
    except ValueError:
        raise InvalidRequest.field("incarnation", "must be a UUID") from None
    if not TENANT_NAME.fullmatch(request.pool):
        raise InvalidRequest.field("pool", "must be letters a-z, digits and '-', at most 63")
    _between("kinds", len(request.kinds), 0, MAX_NAMES)
    _between("models", len(request.models), 0, MAX_NAMES)
    return fleet.Registration(
        incarnation=incarnation,
        token_fingerprint=context.actor.token_digest,
        tenant=_only_tenant(context),
        name=_text(request.name, ACTOR_CHARACTERS) or incarnation,
        node=_text(request.node, 200),
        pool=request.pool,
        slots=_between("slots", request.slots, 1, MAX_SLOTS),
        kinds=[_text(kind, 63) for kind in request.kinds],
        models=[_text(model, 200) for model in request.models],
        version=_text(request.version, 63),
    )


def _only_tenant(context: Any) -> int | None:
    """The tenant a bound token may work for; tokens without one work for all."""
    names = context.actor.tenant_names()
    if names == "*" or not names:
        return None
    if len(names) > 1:
        raise InvalidRequest.field("token", "a worker's token names one tenant, or none for all")
    (name,) = names
    assert TENANT_NAME.fullmatch(name)
    return int(Tenant.objects.get_or_create(name=name)[0].pk)


def _media_type(given: str) -> str:
    if given and (len(given) > 100 or MEDIA_TYPE.fullmatch(given) is None):
        raise InvalidRequest.field("media_type", "write it as type/subtype, at most 100 characters")
    return given


def _data(first: Any, rest: Iterator[Any]) -> Iterator[bytes]:
    yield first.data
    for message in rest:
        yield message.data


def _between(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidRequest.field(field, f"must be between {least} and {most}, not {value}")
    return value


def _text(value: str, most: int) -> str:
    return value.replace("\x00", "")[:most]
