"""Security actions go into the audit log, done or refused, whichever door they came through."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction

from access.actors import OPERATOR, Actor
from access.errors import AccessError, NotAllowed
from audit.events import Action, Origin, Result
from audit.recorder import Detail, record
from faultpoints import reach

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trail:
    """One request: what is done to what, by whom. ``target`` and ``tenant`` are names."""

    action: Action
    target: str
    actor: Actor
    origin: Origin
    tenant: str = ""

    def record(self, result: Result, details: Mapping[str, Detail]) -> int:
        """Append the entry; the last step of the transaction that does what it tells."""
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
            details=details,
        )


@contextmanager
def audited(trail: Trail) -> Iterator[Trail]:
    """Run the checks and the transaction of an operator's request; a refusal is recorded too.

    Raises NotAllowed for callers who are no operators. The caller records what was done inside
    its own transaction.
    """
    try:
        if not trail.actor.may(OPERATOR):
            raise NotAllowed("This needs the scope operator.")
        yield trail
    except AccessError as error:
        with transaction.atomic():
            trail.record(Result.REFUSED, {"code": error.code})
        raise
    except Exception:
        _record_fault(trail)
        raise


def _record_fault(trail: Trail) -> None:
    try:
        with transaction.atomic():
            trail.record(Result.ERROR, {"code": "internal"})
    except Exception:
        # Mostly the database is the fault itself, and the caller has to hear of that.
        log.exception("a failed %s of %s is not in the audit log", trail.action, trail.target)
