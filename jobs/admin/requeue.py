"""Requeueing from the console: what was chosen, tried out first, then done with a reason."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import QueryDict

from access.actors import Actor
from audit.events import Origin
from jobs.actions.requeue import Requeued, requeue_dead_letters
from jobs.actions.requeue_limits import confirmation_needed, max_batch, used_this_minute
from jobs.admin.dead_letter_list import Wish, parse_wish
from jobs.planner.requeue import parse_requeue
from jobs.queries.dead_letter_pages import count_to, evidence
from jobs.queries.dead_letters import list_causes, oldest_dead_letters
from jobs.queries.overview import COUNTED_TO
from jobs.states import SkipReason, task_name

FEW: Final = 5
"""How many to try where it is not seen that the cause is gone."""

TOKEN_CHARACTERS: Final = 1_000
NAMES_CHARACTERS: Final = 300_000
"""The names of the largest batch there can be."""

SKIPS: Final = {
    SkipReason.NOT_FOUND: "There is no such task.",
    SkipReason.NOT_DEAD_LETTERED: "It is no dead letter any more.",
    SkipReason.REPEATED: "It was named twice.",
    SkipReason.JOB_CANCELLED: "Its job was cancelled.",
    SkipReason.JOB_ENDING: "Its job is being cancelled or runs out of time.",
    SkipReason.BUDGET_USED_UP: "Its job's budget is used up.",
    SkipReason.DEPENDENTS_RUNNING: "What hangs on it runs now; ask again when that ended.",
    SkipReason.NEED_FAILED: "What it needs has not succeeded; requeue that with it.",
}
"""Why a task is left as it is, in words."""


@dataclass(frozen=True)
class Choice:
    """What was chosen on the list: tasks by name, or all that match its filters.

    ``total`` is how many match, counted up to 10,001; ``names`` those of this batch, oldest first.
    """

    wish: Wish
    names: tuple[str, ...]
    total: int
    named: bool = False
    """Whether the tasks were chosen one by one."""

    @property
    def whole_cause(self) -> bool:
        """Whether it is one cause without a further condition, which the action takes as such."""
        return bool(self.wish.cause) and self.wish.fields().keys() == {"cause"} and not self.named

    def body(self, *, dry_run: bool, few: bool = False, reason: str = "") -> bytes:
        """Return the request as REST takes it."""
        chosen: dict[str, Any] = {"tasks": self.names[:FEW] if few else self.names}
        if self.whole_cause and not few:
            chosen = {"cause": self.wish.cause}
        return msgspec.json.encode({**chosen, "dry_run": dry_run, "reason": reason})


def read_choice(given: QueryDict, *, now: datetime) -> Choice:
    """Return what a form asks for."""
    wish = parse_wish(given)
    chosen = given.getlist("task") or given.get("tasks", "")[:NAMES_CHARACTERS].split()
    if chosen:
        return Choice(wish, tuple(chosen), len(chosen), named=True)
    wanted = wish.filter(now=now)
    if not (wish.cause or wish.job):
        return Choice(wish, (), 0)
    rows = oldest_dead_letters(wanted, last=now, limit=max_batch())
    total = count_to(wanted, most=COUNTED_TO + 1)
    return Choice(wish, tuple(task_name(task) for _, task in rows), total)


def try_out(choice: Choice, *, actor: Actor, origin: Origin) -> dict[str, Any]:
    """Return what would be requeued. Raises what the action raises."""
    done = requeue_dead_letters(
        request=parse_requeue(choice.body(dry_run=True)), actor=actor, origin=origin
    )
    return _told(done)


def carry_out(choice: Choice, form: QueryDict, *, actor: Actor, origin: Origin) -> dict[str, Any]:
    """Requeue what was chosen, or the first few of it, and return what became of each.

    Sent twice, the form is carried out once. Raises what the action raises.
    """
    body = choice.body(dry_run=False, few="few" in form, reason=origin.reason)
    done = requeue_dead_letters(
        request=parse_requeue(body),
        actor=actor,
        origin=origin,
        confirmation=form.get("token", "")[:TOKEN_CHARACTERS].encode("utf-8", "replace"),
        idempotency_key=form.get("key") or None,
    )
    return _told(done)


def _told(done: Requeued) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.answer)
    return {**answer, "skipped": [_skipped(each) for each in answer["skipped"]]}


def limits(count: int) -> dict[str, Any]:
    """Return what bounds a requeue of so many tasks, and how much of the rate is used."""
    return {
        "cap": max_batch(),
        "rate": settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN,
        "used": used_this_minute(),
        "threshold": settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD,
        "asks": bool(settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN),
        "needs_token": confirmation_needed(count),
    }


def cause_of(choice: Choice, *, now: datetime) -> dict[str, Any] | None:
    """Return the cause that is requeued with what speaks for and against it, None for several."""
    if not choice.wish.cause:
        return None
    found = list_causes(choice.wish.filter(now=now), limit=1, offset=0)["items"]
    if not found:
        return None
    return {**found[0], "evidence": evidence(found[0]["code"])}


def command_line(choice: Choice) -> str:
    """Return the command that does the same, and goes on beyond the cap."""
    wish = choice.wish
    if choice.named or wish.since:
        shown = [*choice.names[:3], *(["…"] if len(choice.names) > 3 else [])]
        parts: Sequence[str] = ["--tasks", *shown]
    else:
        options = {
            "--cause": wish.cause,
            "--job": wish.job,
            "--tenant": wish.tenant,
            "--error-code": wish.error_code,
        }
        parts = [
            word for name, value in options.items() if value for word in (name, shlex.quote(value))
        ]
    return " ".join(["manage.py requeue", *parts, "--reason '…'"])


def carried(choice: Choice) -> dict[str, str]:
    """Return the fields with which the confirm page comes back: these tasks, or the cause."""
    fields = choice.wish.fields()
    return fields if choice.whole_cause else {**fields, "tasks": " ".join(choice.names)}


def fresh_key() -> str:
    """Return a key under which the form is carried out once, however often it is sent."""
    return f"console-{uuid.uuid4()}"


def _skipped(each: dict[str, str]) -> dict[str, str]:
    return {**each, "why": SKIPS[SkipReason(each["reason"])]}
