"""An operator opens dead letters again: bounded, tried out first if wanted, on record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from access.actions.audited import Trail, audited
from access.actors import Actor
from audit.events import INTERNAL, Action, Origin, Result
from jobs.actions import idempotency, reopen, requeue_limits
from jobs.actions.trails import verdict
from jobs.actions.transactions import in_transaction
from jobs.planner.requeue import RequeueRequest, TaskReference, request_sha256
from jobs.policies.reopening import obstacle
from jobs.queries.lookup import job_numbers, task_number
from jobs.states import SkipReason, TaskStatus, job_name, split_task_id, task_name
from jobs.transitions import burials, reopening
from jobs.transitions.reopening import JobFacts
from queueing import tickets

SEVERAL_TENANTS: Final = "*"
"""What the audit entry of a requeue over more than one tenant has as its tenant."""


class Skipped(NamedTuple):
    """A task that is left as it is, and why."""

    task: str
    reason: SkipReason


class Asked(NamedTuple):
    """A task as it was asked for; ``number`` is its database id, None where it cannot be one."""

    name: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Requeued:
    """What became of a request: the answer as JSON text, and whether it repeats an earlier one."""

    answer: str
    replayed: bool = False
    pools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way through the transaction."""

    request: RequeueRequest
    trail: Trail
    confirmation: bytes
    key: str | None
    sha256: str


def requeue_dead_letters(
    *,
    request: RequeueRequest,
    actor: Actor,
    origin: Origin = INTERNAL,
    confirmation: bytes = b"",
    idempotency_key: str | None = None,
) -> Requeued:
    """Open dead letters of any tenant again, each as a new generation with all its attempts.

    ``confirmation`` is what the caller showed as the confirm token. Raises InvalidRequest (more
    than the cap), ConfirmationRequired, RateLimited, IdempotencyMismatch or RequestInFlight.
    """
    key = idempotency.check_key(idempotency_key)
    sha256 = request_sha256(request)
    trail = Trail(
        Action.DEAD_LETTER_REQUEUE,
        actor,
        replace(origin, reason=request.reason or origin.reason),
        details={"request_sha256": sha256},
    )
    if request.cause:
        trail.target = trail.details["cause"] = request.cause
    with audited(trail, verdict):
        done = _until_settled(_Call(request, trail, confirmation, key, sha256))
    for pool in sorted(done.pools):
        tickets.ring(pool)
    return done


def _until_settled(call: _Call) -> Requeued:
    """Try again without the jobs that were cancelled in the very moment."""
    closed: set[int] = set()
    while True:
        try:
            return _requeue(call, closed)
        except reopen.JobsClosed as error:
            closed |= error.numbers


@in_transaction
def _requeue(call: _Call, closed: set[int]) -> Requeued:
    if call.key and (earlier := _held_answer(call, call.key)):
        return Requeued(earlier, replayed=True)
    asked = _within_bounds(call)
    if not call.request.dry_run:
        requeue_limits.take_turn()
        # Whose turn it was before may have taken the same oldest ones of a cause.
        asked = _within_bounds(call) if call.request.cause else asked
    facts, skipped, prospect = _examine(asked, closed, lock=not call.request.dry_run)
    if not call.request.dry_run and prospect.reopened:
        dearest = {job: each.dearest_nano_usd for job, each in facts.items()}
        reopen.carry_out(prospect, dearest=dearest, actor=call.trail.actor.name)
    answer = _record(call, asked, skipped, prospect, facts)
    jobs = {split_task_id(task)[0] for task in prospect.reopened}
    pools = frozenset(facts[job].pool for job in jobs if not call.request.dry_run)
    return Requeued(answer, pools=pools)


def _within_bounds(call: _Call) -> list[Asked]:
    asked = _asked(call.request)
    call.trail.details["requested"] = len(asked)
    requeue_limits.check_batch(len(asked))
    if not call.request.dry_run:
        requeue_limits.check_confirmation(len(asked), call.confirmation)
    return asked


def _held_answer(call: _Call, key: str) -> str | None:
    actor = call.trail.actor.name
    idempotency.hold_key(f"requeue:{actor}", key)
    return idempotency.recorded_answer(actor, key, call.sha256)


def _asked(request: RequeueRequest) -> list[Asked]:
    if request.cause:
        oldest = burials.oldest_of(request.cause, limit=requeue_limits.max_batch())
        return [Asked(task_name(task), task) for task in oldest]
    named = request.tasks or []
    jobs = job_numbers(one.job_id for one in named if isinstance(one, TaskReference))
    return [_named(one, jobs) for one in named]


def _named(one: str | TaskReference, jobs: Mapping[str, int]) -> Asked:
    if isinstance(one, str):
        return Asked(one, task_number(one))
    number = task_number(one.task_id)
    belongs = number is not None and split_task_id(number)[0] == jobs.get(one.job_id)
    return Asked(one.task_id, number if belongs else None)


def _examine(
    asked: Sequence[Asked], closed: set[int], *, lock: bool
) -> tuple[dict[int, JobFacts], list[Skipped], reopen.Prospect]:
    """What can be opened of the tasks asked for, and why the others can not."""
    wanted, skipped = _each_once(asked)
    numbers = {split_task_id(task)[0] for task in wanted}
    if lock:
        reopening.lock_jobs(numbers)
    facts = {each.job_id: each for each in reopening.job_facts(numbers)}
    statuses = {task.id: task.status for task in reopening.look(sorted(wanted))}
    reasons = {task: _first_look(task, facts, statuses, closed) for task in wanted}
    candidates = sorted(task for task, reason in reasons.items() if reason is None)
    prospect = reopen.examine(candidates, lock=lock)
    opened = set(prospect.reopened)
    reasons |= {task: _second_look(task, prospect) for task in candidates if task not in opened}
    skipped += [Skipped(wanted[task], reason) for task, reason in reasons.items() if reason]
    return facts, skipped, prospect


def _each_once(asked: Iterable[Asked]) -> tuple[dict[int, str], list[Skipped]]:
    wanted: dict[int, str] = {}
    skipped = []
    for name, number in asked:
        if number is None:
            skipped.append(Skipped(name, SkipReason.NOT_FOUND))
        elif number in wanted:
            skipped.append(Skipped(name, SkipReason.REPEATED))
        else:
            wanted[number] = name
    return wanted, skipped


def _first_look(
    task: int, facts: Mapping[int, JobFacts], statuses: Mapping[int, str], closed: set[int]
) -> SkipReason | None:
    job, _ = split_task_id(task)
    if job not in facts or task not in statuses:
        return SkipReason.NOT_FOUND
    if statuses[task] != TaskStatus.DEAD_LETTERED:
        return SkipReason.NOT_DEAD_LETTERED
    known = facts[job]
    return obstacle(
        cancelled=known.cancelled or job in closed,
        ending=known.ending,
        budget_used_up=known.used_up,
    )


def _second_look(task: int, prospect: reopen.Prospect) -> SkipReason:
    """Why a dead letter that looked well was not opened after all."""
    if task in prospect.plan.held:
        return SkipReason.DEPENDENTS_RUNNING
    if task in prospect.plan.hopeless:
        return SkipReason.NEED_FAILED
    return SkipReason.NOT_DEAD_LETTERED


def _record(
    call: _Call,
    asked: Sequence[Asked],
    skipped: Sequence[Skipped],
    prospect: reopen.Prospect,
    facts: Mapping[int, JobFacts],
) -> str:
    """The audit entry, and the answer for whoever asks again with the same key."""
    dry_run = call.request.dry_run
    _say_whose(call.trail, prospect.reopened or [a.number for a in asked if a.number], facts)
    number = call.trail.done(
        result=Result.DRY_RUN if dry_run else Result.OK,
        requeued=len(prospect.reopened),
        skipped=len(skipped),
    )
    answer: dict[str, Any] = {
        "dry_run": dry_run,
        "requested": len(asked),
        "requeued": len(prospect.reopened),
        "skipped": [each._asdict() for each in skipped],
        "audit_id": number,
    }
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    if call.key:
        idempotency.remember_answer(
            actor=call.trail.actor.name, key=call.key, request_sha256=call.sha256, answer=text
        )
    return text


def _say_whose(trail: Trail, tasks: Iterable[int], facts: Mapping[int, JobFacts]) -> None:
    numbers = sorted(set(tasks))
    jobs = {split_task_id(task)[0] for task in numbers} & facts.keys()
    tenants = sorted({facts[job].tenant for job in jobs})
    trail.tenant = tenants[0] if len(tenants) == 1 else SEVERAL_TENANTS if tenants else ""
    trail.details["tenants"] = ",".join(tenants)
    if not trail.target and len(jobs) == 1:
        trail.target = task_name(numbers[0]) if len(numbers) == 1 else job_name(*jobs)
