"""What operators do to jobs goes into the audit log, whichever door it came through."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from access.actors import OPERATOR, Actor
from audit.events import Action, Origin, Result
from audit.recorder import Detail, record
from faultpoints import reach
from jobs.actions.transactions import in_transaction
from jobs.failures import as_daef_error
from jobs.models import Job
from jobs.states import job_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trail:
    """One request about one job. Tenants' own requests leave their mark in the job's events."""

    action: Action
    job_id: int
    actor: Actor
    origin: Origin

    def done(self, **details: Detail) -> None:
        """Record that the job was changed; the last step of the transaction that changes it."""
        self._record(Result.OK, details)

    @in_transaction
    def ended(self, result: Result, code: str) -> None:
        """Record a request that changed nothing, in a transaction of its own."""
        self._record(result, {"code": code})

    def _record(self, result: Result, details: dict[str, Detail]) -> None:
        if not self.actor.may(OPERATOR):
            return
        if result == Result.OK:
            reach("action.after_update_before_audit")
        tenants = Job.objects.filter(pk=self.job_id).values_list("tenant__name", flat=True)
        record(
            action=self.action,
            result=result,
            actor=self.actor.name,
            origin=self.origin,
            target=job_name(self.job_id),
            tenant=tenants.first() or "",
            reason=self.origin.reason,
            details=details,
        )


@contextmanager
def audited(action: Action, *, job_id: int, actor: Actor, origin: Origin) -> Iterator[Trail]:
    """Run the checks and the transaction of one request; what they raise is recorded, then raised.

    The caller calls `Trail.done` inside its transaction, and only when that changed something.
    """
    trail = Trail(action, job_id, actor, origin)
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
        log.exception("a failed %s of job %d is not in the audit log", trail.action, trail.job_id)
