"""What operators do goes into the audit log, whichever door it came through: one entry a request.

An action names what it is about as a `Trail`, runs inside `audited`, and calls `Trail.done` as the
last step of the transaction that changes something. What is refused or fails is recorded by
`audited` itself, in a transaction of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from access.actors import OPERATOR, Actor
from audit.events import Action, Origin, Result
from audit.recorder import Detail, record
from faultpoints import reach
from jobs.actions.transactions import in_transaction
from jobs.failures import as_daef_error
from jobs.models import Job
from jobs.states import job_name

log = logging.getLogger(__name__)


@dataclass
class Trail:
    """One request: who asks, through which door, about what.

    ``target`` is what users call the object, ``tenant`` whose it is; ``details`` go into whichever
    entry is written. All three may be filled in while the action finds them out.
    """

    action: Action
    actor: Actor
    origin: Origin
    target: str = ""
    tenant: str = ""
    details: dict[str, Detail] = field(default_factory=dict)

    def done(self, *, result: Result = Result.OK, **details: Detail) -> int:
        """Record that something was changed; the last step of the transaction that changes it.

        Returns the entry's number.
        """
        return self._record(result, details)

    @in_transaction
    def ended(self, result: Result, code: str) -> None:
        """Record a request that changed nothing, in a transaction of its own."""
        self._record(result, {"code": code})

    def _record(self, result: Result, details: dict[str, Detail]) -> int:
        if result == Result.OK:
            reach("action.after_update_before_audit")
        return record(
            action=self.action,
            result=result,
            actor=self.actor.name,
            origin=self.origin,
            target=self.target,
            tenant=self.tenant,
            reason=self.origin.reason,
            details={**self.details, **details},
        )


class JobTrail(Trail):
    """A request about one job. Tenants' own requests leave their mark in the job's events only."""

    def __init__(self, action: Action, actor: Actor, origin: Origin, job_id: int) -> None:
        super().__init__(action, actor, origin, target=job_name(job_id))
        self.job_id = job_id

    def _record(self, result: Result, details: dict[str, Detail]) -> int:
        if not self.actor.may(OPERATOR):
            return 0
        tenants = Job.objects.filter(pk=self.job_id).values_list("tenant__name", flat=True)
        self.tenant = tenants.first() or ""
        return super()._record(result, details)


T = TypeVar("T", bound=Trail)


@contextmanager
def audited(trail: T) -> Iterator[T]:
    """Run the checks and the transaction of one request; what they raise is recorded, then raised.

    The caller calls `Trail.done` inside its transaction, and only when that changed something.
    """
    try:
        yield trail
    except Exception as error:
        _record_end(trail, error)
        raise


def _record_end(trail: Trail, error: Exception) -> None:
    told = as_daef_error(error)
    if told.http_status < 500:
        trail.ended(Result.REFUSED, told.code)
        return
    try:
        trail.ended(Result.ERROR, told.code)
    except Exception:
        # Mostly the database is the fault itself, and the caller has to hear of that.
        log.exception("a failed %s of %s is not in the audit log", trail.action, trail.target)
