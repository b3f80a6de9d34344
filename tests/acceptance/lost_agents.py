"""Losing agents in every way at once, and how long until others have their tasks."""

import signal
from collections.abc import Callable
from typing import Any

from tests.acceptance.fabrics import wait_until
from tests.acceptance.outside import AgentProcess
from tests.acceptance.work import Jobs

Rows = Callable[[str, Any], list[tuple[Any, ...]]]
"""Asks the fabric's database."""

AGENTS = 3
SLOTS = 4
TASKS = AGENTS * SLOTS


def seconds_until_claimed_again(
    rows: Rows, jobs: Jobs, start_agent: Callable[..., AgentProcess]
) -> list[float]:
    """Lose three agents full of work at the same moment while a fourth waits; a figure per task.

    One is killed and its runner left to find out, one is killed with its runner as by a lost
    machine, one is stopped and woken when others have its tasks. Times are the database's.
    """
    lost = [start_agent(SLOTS) for _ in range(AGENTS)]
    job = jobs.submit(TASKS, sleep_ms=60_000)
    jobs.wait_running(job, TASKS)
    start_agent(TASKS)
    jobs.run_one()
    ((moment,),) = rows("select clock_timestamp()", None)
    lost[0].process.kill()
    lost[1].send(signal.SIGKILL)
    lost[2].send(signal.SIGSTOP)
    try:
        wait_until(lambda: len(_claims(rows, job, moment)) == TASKS, 20)
    finally:
        lost[2].send(signal.SIGCONT)
    times = _claims(rows, job, moment)
    jobs.cancel(job)
    return times


def _claims(rows: Rows, job: str, moment: Any) -> list[float]:
    """For each task that was claimed after ``moment``: how many seconds after."""
    found = rows(
        "select extract(epoch from min(happened_at) - %(moment)s)::float "
        "from job_event, unnest(task_ids) as task "
        "where job_id = %(job)s and kind = 'claimed' and happened_at > %(moment)s group by task",
        {"moment": moment, "job": int(job.removeprefix("job-"))},
    )
    return sorted(seconds for (seconds,) in found)
