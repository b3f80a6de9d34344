"""Take outcomes from workers: judge each, end its share, carry the consequences."""

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from faultpoints import reach
from jobs.actions import spawning
from jobs.actions.finish import finish_shares
from jobs.actions.spawning import SpawnOrder
from jobs.actions.transactions import BRIEF_MILLISECONDS, in_transaction, wait_briefly
from jobs.models import Worker
from jobs.policies import isolation, retry
from jobs.states import AttemptOutcome, EventKind, Reason, TaskStatus
from jobs.transitions import artifacts, jobs, settling
from jobs.transitions.settling import (
    DecisionFacts,
    EndedShare,
    RecordedShare,
    ShareEnd,
    UsageRow,
)

ShareKey = tuple[int, int, int]
"""Task, lease epoch and worker: who may settle what."""

MAX_INLINE_RESULT = 64 * 1024
"""Bytes of JSON kept on the task row; larger results are artifacts."""

MAX_MESSAGE = 2_000
"""Characters of an error message that are kept."""


class SettleStatus(StrEnum):
    """What became of one outcome."""

    APPLIED = "applied"
    REPEATED = "repeated"
    FENCED = "fenced"
    REJECTED = "rejected"
    BUSY = "busy"


class ReportKind(StrEnum):
    """What a worker says of a share."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RELEASED = "released"


class Report(NamedTuple):
    """One outcome as a worker reports it."""

    task_id: int
    epoch: int
    kind: ReportKind
    result: str | None = None
    result_sha256: str | None = None
    error_class: str = ""
    error_code: str = ""
    error_message: str = ""
    retry_after_seconds: float = 0.0
    usage: tuple[UsageRow, ...] = ()
    spawned: tuple[SpawnOrder, ...] = ()


class Answer(NamedTuple):
    """What a worker is told of one outcome."""

    status: SettleStatus
    message: str = ""


APPLIED = Answer(SettleStatus.APPLIED)
REPEATED = Answer(SettleStatus.REPEATED)
FENCED = Answer(SettleStatus.FENCED, "the lease is not held any more")


class SettleRequest(NamedTuple):
    """A worker's outcomes."""

    worker: Worker
    reports: Sequence[Report]


Answers = list[Answer]
"""What one worker is told, in the order of its outcomes."""


class Verdict(NamedTuple):
    """A judged outcome: the share's end, what is told of it, and whether the job must fail."""

    share: ShareEnd
    answer: Answer
    fails_job: Reason | None = None
    spawned: tuple[SpawnOrder, ...] = ()


@in_transaction
def settle(
    requests: Sequence[SettleRequest], *, lock_milliseconds: int = BRIEF_MILLISECONDS
) -> list[Answers]:
    """Settle the outcomes of several workers in one transaction, which waits for the disk.

    Raises an OperationalError of which `is_locked_out` is true where somebody held a row for that
    long.
    """
    wait_briefly(lock_milliseconds)
    verdicts = _judge(requests)
    ended = settling.end_shares([verdict.share for verdict in verdicts.values()])
    applied = {(share.id, share.epoch, share.owner): share for share in ended}
    counts = spawning.spawn_tasks(
        {key[0]: verdicts[key].spawned for key in applied},
        ended_with_dependents=[share.id for share in ended if share.fanout],
    )
    recorded = _recorded(requests, applied)
    _record_usage(requests, applied, recorded)
    finish_shares(ended, kind=EventKind.SETTLED, actor=_actor(requests), others=counts)
    _fail_jobs({key: verdicts[key] for key in applied}, applied)
    reach("settle.before_commit")
    return _answers(requests, verdicts, applied, recorded)


def _actor(requests: Sequence[SettleRequest]) -> str:
    return requests[0].worker.name if len(requests) == 1 else ""


def _judge(requests: Sequence[SettleRequest]) -> dict[ShareKey, Verdict]:
    """One verdict per share and worker; what a second report says of the same is not heard."""
    heard: dict[ShareKey, tuple[Worker, Report]] = {}
    for request in requests:
        for report in request.reports:
            heard.setdefault(_key(request, report), (request.worker, report))
    reports = [report for _, report in heard.values()]
    facts, stored = _facts(reports), _known_artifacts(reports)
    refusals = spawning.refusals(
        {key: report.spawned for key, (_, report) in heard.items() if report.spawned}
    )
    return {
        key: _verdict(
            worker,
            report,
            facts.get(key[:2]),
            _problem(report, stored) or refusals.get(key, ""),
        )
        for key, (worker, report) in heard.items()
    }


def _facts(reports: Sequence[Report]) -> dict[tuple[int, int], DecisionFacts]:
    failed = [report.task_id for report in reports if report.kind != ReportKind.SUCCEEDED]
    return settling.decision_facts(failed) if failed else {}


def _known_artifacts(reports: Sequence[Report]) -> set[tuple[int, str]]:
    """Which ``(task, sha256)`` name a blob of the task's own tenant."""
    named = [(report.task_id, report.result_sha256) for report in reports if report.result_sha256]
    return artifacts.known(named) if named else set()


def _problem(report: Report, stored: set[tuple[int, str]]) -> str:
    """Why an outcome cannot be taken as it is; empty when it can."""
    if report.kind != ReportKind.SUCCEEDED:
        return ""
    if report.result_sha256:
        known = (report.task_id, report.result_sha256) in stored
        return "" if known else "the result names an unknown artifact"
    result = (report.result or "").encode("utf-8", "surrogatepass")
    if len(result) > MAX_INLINE_RESULT:
        return f"the result is larger than {MAX_INLINE_RESULT} bytes; write it as an artifact"
    try:
        msgspec.json.decode(result, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "the result is not JSON"
    return ""


def _verdict(worker: Worker, report: Report, facts: DecisionFacts | None, problem: str) -> Verdict:
    if problem:
        share = _share(worker, report, TaskStatus.DEAD_LETTERED, AttemptOutcome.FAILED)
        share = share._replace(error_code="invalid_outcome", error_message=problem)
        return Verdict(share, Answer(SettleStatus.REJECTED, problem))
    if report.kind == ReportKind.SUCCEEDED:
        share = _share(worker, report, TaskStatus.SUCCEEDED, AttemptOutcome.SUCCEEDED)
        return Verdict(share, APPLIED, spawned=report.spawned)
    return _failure_verdict(worker, report, facts or DecisionFacts(1, 1, 0.0, None))


def _failure_verdict(worker: Worker, report: Report, facts: DecisionFacts) -> Verdict:
    released = report.kind == ReportKind.RELEASED
    decision = retry.after_failure(
        error_class="released" if released else report.error_class,
        error_code=report.error_code,
        message=report.error_message,
        attempt=facts.attempt,
        max_attempts=facts.max_attempts,
        retry_after_seconds=report.retry_after_seconds,
        age_seconds=facts.age_seconds,
        schedule_to_close_seconds=facts.schedule_to_close_seconds,
        jitter=random.random(),
    )
    outcome = AttemptOutcome.RELEASED if released else AttemptOutcome.FAILED
    share = decided_share(_share(worker, report, TaskStatus.QUEUED, outcome), decision)
    fails = Reason.BUDGET_EXCEEDED if isinstance(decision, retry.FailJob) else None
    return Verdict(share, APPLIED, fails_job=fails)


def decided_share(share: ShareEnd, decision: retry.Decision) -> ShareEnd:
    """The share's end as the retry rule has it."""
    if isinstance(decision, retry.Requeue):
        return share._replace(
            status=TaskStatus.QUEUED,
            given_back=int(decision.give_back),
            delay_seconds=decision.delay_seconds,
        )
    return share._replace(
        status=TaskStatus.DEAD_LETTERED,
        error_code=decision.code[:63],
        error_message=decision.message[:MAX_MESSAGE],
    )


def _share(worker: Worker, report: Report, status: TaskStatus, outcome: AttemptOutcome) -> ShareEnd:
    succeeded = status == TaskStatus.SUCCEEDED
    share = ShareEnd(
        report.task_id,
        report.epoch,
        worker.id,
        status,
        outcome,
        result=(report.result or None) if succeeded else None,
        result_sha256=report.result_sha256 if succeeded else None,
    )
    return share if succeeded and not report.usage else _with_details(share, report)


def _with_details(share: ShareEnd, report: Report) -> ShareEnd:
    """What hardly any of a large batch of short tasks has: its error, and what it used."""
    return share._replace(
        error_code=report.error_code[:63] or None,
        error_message=report.error_message[:MAX_MESSAGE] or None,
        input_tokens=sum(entry.input_tokens for entry in report.usage),
        output_tokens=sum(entry.output_tokens for entry in report.usage),
        cost_nano_usd=sum(entry.cost_nano_usd for entry in report.usage),
        workers_lost=isolation.weight(error_class=report.error_class, error_code=report.error_code),
    )


def _recorded(
    requests: Sequence[SettleRequest], applied: Mapping[ShareKey, EndedShare]
) -> dict[tuple[int, int], RecordedShare]:
    """What is on record of the shares whose reports were not taken."""
    keys = [_key(request, report) for request in requests for report in request.reports]
    missed = [key[:2] for key in keys if key not in applied]
    return settling.recorded_shares(missed) if missed else {}


def _key(request: SettleRequest, report: Report) -> ShareKey:
    return report.task_id, report.epoch, request.worker.id


def _record_usage(
    requests: Sequence[SettleRequest],
    applied: Mapping[ShareKey, EndedShare],
    recorded: Mapping[tuple[int, int], RecordedShare],
) -> None:
    """Book every model call of shares' holders; those reported too late count as wasted.

    What a worker reports of a share that it never held is not booked: it would take the place
    of the holder's own entries.
    """
    if not any(report.usage for request in requests for report in request.reports):
        return
    rows: list[UsageRow] = []
    heard: set[ShareKey] = set()
    for request in requests:
        for report in request.reports:
            key = _key(request, report)
            held_before = key[:2] in recorded and recorded[key[:2]].owner == key[2]
            if key in applied or held_before:
                wasted = key not in applied or key in heard
                rows += [entry._replace(wasted=wasted) for entry in report.usage]
            heard.add(key)
    settling.record_usage(rows)


def _fail_jobs(
    verdicts: Mapping[ShareKey, Verdict], applied: Mapping[ShareKey, EndedShare]
) -> None:
    failing = {
        applied[key].job_id: verdict.fails_job
        for key, verdict in verdicts.items()
        if verdict.fails_job
    }
    for job, reason in sorted(failing.items()):
        jobs.fail(job, reason)


def _answers(
    requests: Sequence[SettleRequest],
    verdicts: Mapping[ShareKey, Verdict],
    applied: Mapping[ShareKey, EndedShare],
    recorded: Mapping[tuple[int, int], RecordedShare],
) -> list[Answers]:
    keys = [[_key(request, report) for report in request.reports] for request in requests]
    told: set[ShareKey] = set()
    return [[_answer(key, verdicts, applied, recorded, told) for key in each] for each in keys]


def _answer(
    key: ShareKey,
    verdicts: Mapping[ShareKey, Verdict],
    applied: Mapping[ShareKey, EndedShare],
    recorded: Mapping[tuple[int, int], RecordedShare],
    told: set[ShareKey],
) -> Answer:
    if key in applied and key not in told:
        told.add(key)
        return verdicts[key].answer
    if key in told or recorded.get(key[:2]) == RecordedShare(key[2], settled=True):
        return REPEATED
    return FENCED
