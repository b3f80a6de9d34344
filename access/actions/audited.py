"""What operators do goes into the audit log, whichever door it came through: one entry a request.

An action names what it is about as a `Trail`, runs inside `audited`, and calls `Trail.done` as the
last step of the transaction that changes something. What is refused or fails is recorded by
`audited` itself, in a transaction of its own. Actions here and in ``jobs`` are recorded by this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from django.db import transaction

from access.actors import OPERATOR, Actor
from access.errors import AccessError, NotAllowed
from audit.events import Action, Origin, Result
from audit.recorder import Detail, record
from faultpoints import reach

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

    @transaction.atomic
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


class Verdict(NamedTuple):
    """What an exception means: its stable code, and whether a rule refused the request."""

    code: str
    refused: bool


T = TypeVar("T", bound=Trail)


def of_access(error: Exception) -> Verdict:
    """Return what the gatekeepers' own exceptions mean; everything else is a fault."""
    if isinstance(error, AccessError):
        return Verdict(error.code, refused=True)
    return Verdict("internal", refused=False)


def require_operator(actor: Actor) -> None:
    """Raise NotAllowed for callers who are no operators."""
    if not actor.may(OPERATOR):
        raise NotAllowed("This needs the scope operator.")


@contextmanager
def audited(trail: T, judge: Callable[[Exception], Verdict] = of_access) -> Iterator[T]:
    """Run the checks and the transaction of one request; what they raise is recorded, then raised.

    The caller calls `Trail.done` inside its transaction, and only when that changed something.
    ``judge`` knows the exceptions that can come.
    """
    try:
        yield trail
    except Exception as error:
        _record_end(trail, judge(error))
        raise


def _record_end(trail: Trail, verdict: Verdict) -> None:
    if verdict.refused:
        trail.ended(Result.REFUSED, verdict.code)
        return
    try:
        trail.ended(Result.ERROR, verdict.code)
    except Exception:
        # Mostly the database is the fault itself, and the caller has to hear of that.
        log.exception("a failed %s of %s is not in the audit log", trail.action, trail.target)
