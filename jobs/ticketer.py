"""The controller that wakes: due tasks into the queue, tickets for pools with ready work.

It repeats every second what submissions and settlements already asked for, so that a lost wake-up
or an emptied Redis costs a second, never work.
"""

import threading

from faultpoints import reach
from jobs.actions import fleet
from jobs.actions.transactions import in_transaction
from jobs.loops import run_passes
from jobs.transitions import overdue
from queueing import tickets

PASS_SECONDS = 1.0
TASKS_PER_PASS = 5_000


def run_forever(stop: threading.Event) -> None:
    """Wake until told to stop."""
    run_passes(one_pass, name="ticketer", seconds=PASS_SECONDS, stop=stop)


def one_pass() -> dict[str, int]:
    """Move due tasks, then ring for each pool with work as many agents as have a free slot."""
    moved = move_due()
    ring_pools()
    return {"tasks due": moved}


def ring_pools() -> None:
    """Ring for each pool with ready work as many agents as have a free slot."""
    pools = overdue.pools_with_work(silent_seconds=fleet.silent_seconds())
    if pools:
        reach("ticketer.after_select")
    for pool, workers in pools:
        tickets.ring(pool, workers)


@in_transaction
def move_due() -> int:
    """Backed-off tasks whose time has come; returns how many."""
    moved = overdue.move_due(chunk=TASKS_PER_PASS)
    if moved:
        reach("ticketer.due_before_commit")
    return moved
