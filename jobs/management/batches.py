"""Requeueing as many dead letters as it takes: call after call, each within the bounds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import sleep
from typing import Any

from access.actors import Actor
from audit.events import Origin
from jobs.actions.requeue import requeue_dead_letters
from jobs.actions.requeue_limits import max_batch
from jobs.errors import RateLimited
from jobs.planner.requeue import RequeueRequest
from jobs.queries.dead_letters import BEGINNING, DeadLetterFilter, oldest_dead_letters
from jobs.states import task_name


@dataclass
class Tally:
    """What the calls did so far; ``audit_ids`` are their entries in the audit log."""

    dry_run: bool
    requested: int = 0
    requeued: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    audit_ids: list[int] = field(default_factory=list)

    def add(self, answer: dict[str, Any]) -> None:
        """Count one call's answer."""
        self.requested += answer["requested"]
        self.requeued += answer["requeued"]
        self.skipped += answer["skipped"]
        self.audit_ids.append(answer["audit_id"])

    def reasons(self) -> dict[str, int]:
        """How many tasks were skipped for each reason, the commonest first."""
        return dict(Counter(each["reason"] for each in self.skipped).most_common())


@dataclass(frozen=True)
class Batches:
    """How to requeue: by whom, why, and whom to tell that the rate makes us wait."""

    actor: Actor
    origin: Origin
    dry_run: bool
    confirmation: bytes
    waiting: Callable[[int], None]

    def run(self, batches: Iterator[list[str]], tally: Tally) -> Iterator[int]:
        """Requeue batch after batch into ``tally``; yields how many tasks each had.

        Waits as long as the rate asks for. Raises what `requeue_dead_letters` raises besides.
        """
        for names in batches:
            tally.add(self._ask(names))
            yield len(names)

    def _ask(self, names: Sequence[str]) -> dict[str, Any]:
        request = RequeueRequest(tasks=list(names), dry_run=self.dry_run)
        while True:
            try:
                done = requeue_dead_letters(
                    request=request,
                    actor=self.actor,
                    origin=self.origin,
                    confirmation=self.confirmation,
                )
            except RateLimited as error:
                seconds = error.retry_after_seconds or 1
                self.waiting(seconds)
                sleep(seconds)
            else:
                answer: dict[str, Any] = json.loads(done.answer)
                return answer


def named(names: Sequence[str]) -> Iterator[list[str]]:
    """These tasks in batches."""
    for start in range(0, len(names), max_batch()):
        yield list(names[start : start + max_batch()])


def chosen(wanted: DeadLetterFilter, *, until: datetime) -> Iterator[list[str]]:
    """The dead letters that were buried until then, oldest first, in batches.

    A task that dies again meanwhile is not among them.
    """
    after = BEGINNING
    while page := oldest_dead_letters(wanted, last=until, after=after, limit=max_batch()):
        after = page[-1]
        yield [task_name(task) for _, task in page]
