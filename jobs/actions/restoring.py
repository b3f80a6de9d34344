"""Recognise a database that was restored, and make it safe to go on from there.

A backup is a moment of the past. Since then agents have registered, leases were given, jobs were
numbered, and those who took part may be alive: agents with results, clients with job numbers,
tickets in Redis. The restored tables would give the same numbers out again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from access.actors import SYSTEM
from audit.events import Action, Origin, Result
from audit.recorder import record
from jobs.actions.finish import finish_shares
from jobs.actions.transactions import in_transaction
from jobs.states import AttemptOutcome, EventKind, TaskStatus
from jobs.transitions import restoring, settling
from jobs.transitions.settling import ShareEnd

SKIPPED_NUMBERS = 1_000_000
"""How many job numbers are left out: more than were given out since the backup."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done to a database that went back: ``changed`` says how that was seen."""

    changed: tuple[str, ...]
    workers: int
    tasks: int
    next_job: int

    def __str__(self) -> str:
        how = f"other {', '.join(self.changed)} than before" if self.changed else "as you say"
        return (
            f"the database was restored or failed over ({how}): {self.workers} workers have to "
            f"register anew, {self.tasks} running tasks are queued again, the next job is "
            f"job-{self.next_job}"
        )


def notice(origin: Origin) -> Restored | None:
    """Make a database safe that is not the one it was; None where it is. Cheap when it is."""
    found = restoring.facts()
    restored = _notice(found, origin)
    if restored:
        logger.warning("%s", restored)
    return restored


def declare(origin: Origin, *, next_job: int = 0) -> Restored:
    """Make a database safe of which somebody knows that it was restored.

    ``next_job`` is the least number that the next job may have.
    """
    return _go_on(restoring.facts(), (), origin, next_job)


@in_transaction
def _notice(found: Mapping[str, str], origin: Origin) -> Restored | None:
    known = restoring.known_facts() or {}
    told = {name: fact or known.get(name, "") for name, fact in found.items()}
    changed = tuple(name for name in told if known.get(name) and told[name] != known[name])
    if changed:
        return _restart(told, changed, origin, 0)
    if told != known:
        restoring.remember(told, restored=False)
    return None


@in_transaction
def _go_on(
    found: Mapping[str, str], changed: tuple[str, ...], origin: Origin, next_job: int
) -> Restored:
    restoring.known_facts()
    return _restart(found, changed, origin, next_job)


def _restart(
    found: Mapping[str, str], changed: tuple[str, ...], origin: Origin, next_job: int
) -> Restored:
    workers = restoring.dismiss_workers()
    tasks = _queue_again()
    # Clients keep both: as job-7, and as the last event that they read.
    restoring.skip_numbers("job_event", SKIPPED_NUMBERS)
    number = restoring.skip_numbers("job", SKIPPED_NUMBERS, at_least=next_job - 1)
    restoring.remember(found, restored=True)
    restored = Restored(changed, workers, tasks, number)
    _record(restored, origin)
    return restored


def _queue_again() -> int:
    """Hand back what ran in the past, at no cost to it: whoever ran it is dismissed."""
    shares = [
        ShareEnd(*share, TaskStatus.QUEUED, AttemptOutcome.RELEASED, given_back=1)
        for share in restoring.held_shares()
    ]
    ended = settling.end_shares(shares) if shares else []
    finish_shares(ended, kind=EventKind.RELEASED, actor=SYSTEM.name)
    return len(ended)


def _record(restored: Restored, origin: Origin) -> None:
    record(
        action=Action.STORE_RESTORED,
        result=Result.OK,
        actor=SYSTEM.name,
        origin=origin,
        target="store",
        details={
            "changed": ", ".join(restored.changed),
            "next_job": restored.next_job,
            "tasks": restored.tasks,
            "workers": restored.workers,
        },
    )
