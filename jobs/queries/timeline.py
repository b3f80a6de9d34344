"""A job's attempts over time: how many ran at once, and the tasks that needed more than one try.

Of a large job every so manieth task is looked at, so that the cost is bounded; the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from jobs.models import Job
from jobs.queries.formats import select
from jobs.states import TASK_BITS, AttemptOutcome, TaskStatus, task_name

SAMPLE: Final = 1_000
"""Tasks that are looked at, however large the job is."""

ATTEMPTS_OF_EACH: Final = 12
"""Newest attempts of one task that are drawn."""

MOST_ROWS: Final = 20
"""Tasks that have a line of their own, the worst first (console design, section 5c)."""

RUNNING: Final = "Running"

TASKS = """
select t.id, t.stage, t.status, t.attempt, t.epoch, t.error_code, t.error_message,
    case when t.status = 'Running' then (select l.granted_at from lease l
        where l.job_id = %(job)s and l.owner = t.owner and t.id = any(l.task_ids)
        limit 1) end as running_since
from (
    select %(first)s::bigint + n as id from generate_series(0, %(last)s::bigint, %(step)s::bigint) n
    union
    (select task_id from dead_letter where task_id >= %(first)s and task_id < %(beyond)s
    order by task_id limit %(rows)s)
    union
    (select l.task_id from (select unnest(task_ids) as task_id from lease where job_id = %(job)s) l
    limit %(sample)s)
) wanted join task t on t.id = wanted.id
order by t.id
"""

ATTEMPTS = """
select a.task_id, a.started_at, a.finished_at, a.outcome, a.error_code
from unnest(%(tasks)s::bigint[]) as wanted(id) cross join lateral (
    select task_id, epoch, started_at, finished_at, outcome, error_code from attempt
    where task_id = wanted.id order by epoch desc limit %(most)s) a
order by a.task_id, a.epoch
"""


@dataclass(frozen=True)
class Try:
    """One attempt: from when to when, and how it ended; without an end while it runs."""

    start: datetime
    end: datetime | None
    outcome: str
    code: str = ""


@dataclass
class TaskLine:
    """One task with its attempts, in order."""

    id: int
    name: str
    stage: int
    status: str
    code: str
    sampled: bool
    tries: list[Try] = field(default_factory=list)

    @property
    def remarkable(self) -> bool:
        """Whether it did not succeed at its first try."""
        ended = [one for one in self.tries if one.end is not None]
        return bool(ended) and (len(self.tries) > 1 or ended[0].outcome != AttemptOutcome.SUCCEEDED)


@dataclass(frozen=True)
class Timeline:
    """What was looked at: tasks with their attempts; each stands for ``step`` tasks."""

    lines: list[TaskLine]
    step: int

    def remarkable(self) -> list[TaskLine]:
        """Return the tasks that did not succeed at once, the worst first."""
        found = [line for line in self.lines if line.remarkable]
        found.sort(key=lambda line: (line.status != TaskStatus.DEAD_LETTERED, -len(line.tries)))
        return found


def timeline(job: Job, *, total: int) -> Timeline:
    """Return the attempts of a job's tasks, or of a part of them; two statements."""
    step = max(1, -(-total // SAMPLE))
    first = (job.pk << TASK_BITS) + 1
    parameters = {
        "job": job.pk,
        "first": first,
        "beyond": (job.pk + 1) << TASK_BITS,
        "last": max(total - 1, 0),
        "step": step,
        "rows": MOST_ROWS,
        "sample": SAMPLE,
    }
    lines = {row["id"]: _line(row, first, step) for row in select(TASKS, parameters)}
    wanted = {"tasks": list(lines), "most": ATTEMPTS_OF_EACH}
    found = select(ATTEMPTS, wanted) if lines else []
    for row in found:
        code = row["error_code"] or ""
        tried = Try(row["started_at"], row["finished_at"], row["outcome"], code)
        lines[row["task_id"]].tries.insert(_before_running(lines[row["task_id"]]), tried)
    return Timeline(list(lines.values()), step)


def _line(row: dict[str, Any], first: int, step: int) -> TaskLine:
    since = row["running_since"]
    return TaskLine(
        row["id"],
        task_name(row["id"]),
        row["stage"],
        row["status"],
        row["error_code"] or "",
        (row["id"] - first) % step == 0,
        [Try(since, None, RUNNING)] if since else [],
    )


def _before_running(line: TaskLine) -> int:
    """Return where the next attempt belongs: what runs now is the last one."""
    return len(line.tries) - (bool(line.tries) and line.tries[-1].end is None)
