"""``/v1/admin/workers``: the fleet, and taking an agent out of service."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, get_args

from django.http import HttpResponse
from rest_framework.request import Request

from jobs.actions.drain import drain_worker
from jobs.api.base import ApiView, answer
from jobs.api.body import JSON_TYPE, has_body, json_bytes
from jobs.api.operation import WRITE_PROBLEMS, Answer, Operation
from jobs.api.operator_shapes import FleetState
from jobs.api.query import PAGE, TENANT, Choice, Parameter
from jobs.planner.drain import DrainRequest, parse_drain
from jobs.queries.workers import fleet_document, fleet_page, worker_number

FILTERS: Final[dict[str, Parameter]] = {
    **PAGE,
    # Pools and tenants are named alike.
    "pool": TENANT,
    "state": Choice(get_args(FleetState)),
}


class WorkersView(ApiView):
    """Agents that have not left, by pool. `Lost` is one that was not heard of for a lease.

    `busy` counts slots by the leases that were given out; `oldest_lease_seconds` is null while it
    holds none.
    """

    scope = "operator"
    operations: ClassVar = {
        "get": Operation(
            "List workers", (Answer(shape="FleetWorkerList"),), FILTERS, (400, 401, 403, 503)
        ),
    }

    def get(self, request: Request) -> HttpResponse:
        """List workers."""
        return self.answer_page(fleet_page(**self.query))


class DrainView(ApiView):
    """Give an agent no more tasks. Its next heartbeat tells it to finish what runs and to leave.

    Repeated calls change nothing. There is no way back: start the agent again instead. A body is
    not needed; its `reason` is kept in the audit log.
    """

    scope = "operator"
    operations: ClassVar = {
        "post": Operation(
            "Drain a worker",
            (Answer(shape="FleetWorker"),),
            problems=WRITE_PROBLEMS,
            body="DrainRequest",
            body_types=(JSON_TYPE,),
            body_optional=True,
        ),
    }

    def post(self, request: Request, worker: str) -> HttpResponse:
        """Drain the worker."""
        number = worker_number(worker)
        asked = parse_drain(json_bytes(request)) if has_body(request) else DrainRequest()
        origin = replace(self.origin, reason=asked.reason)
        drain_worker(worker=number, actor=self.actor, origin=origin)
        return answer(fleet_document(number))
