"""How much work to ask for, and when to speak: pure functions of the agent's counts.

Long tasks are claimed one for each free slot. Tasks far shorter than a call to the control plane
are claimed in batches, with one batch waiting while another is settled.
"""

from dataclasses import dataclass

BATCH = 512
"""Most tasks asked for, and most outcomes settled, in one call; `ClaimRequest` has the limit."""

BATCH_SECONDS = 0.05
"""A batch should keep all slots busy about this long: ten times a call's round trip."""

SETTLE_SECONDS = 0.02
"""Longest wait of a finished task before it is settled."""

WEIGHT = 0.2
"""Share of the newest batch in the moving average of a task's run time."""


@dataclass(frozen=True)
class Call:
    """One call to make: settle ``outcomes`` outcomes and claim up to ``want`` tasks."""

    outcomes: int
    want: int


@dataclass(frozen=True)
class Wait:
    """Nothing to call now; look again after ``seconds``, or only on news when None."""

    seconds: float | None


@dataclass(frozen=True)
class View:
    """The agent's counts at one moment.

    ``in_runner`` are tasks running or waiting in the runner, ``asked`` those wanted by calls
    under way, ``unsettled`` finished ones not yet sent (the oldest for ``oldest_seconds``).
    ``mean_seconds`` is a task's average run time, None before the first one ended. ``hungry``
    says that there may be more work than the last answer brought; ``woken`` that somebody said so
    since work was asked for last; ``closed`` that no work is to be taken at the moment.
    """

    slots: int
    in_runner: int
    asked: int
    unsettled: int
    oldest_seconds: float
    mean_seconds: float | None
    hungry: bool
    closed: bool
    woken: bool = False


class Pace:
    """The moving average of run time per task, fed once per batch of finished tasks."""

    def __init__(self) -> None:
        self.mean_seconds: float | None = None

    def ran(self, tasks: int, seconds: float) -> None:
        """``tasks`` tasks ended that ran ``seconds`` in all."""
        if tasks < 1:
            return
        mean = seconds / tasks
        known = self.mean_seconds
        self.mean_seconds = mean if known is None else known + WEIGHT * (mean - known)

    def at_least(self, seconds: float) -> None:
        """Tasks turn out to take longer than the average says."""
        self.mean_seconds = max(seconds, self.mean_seconds or 0.0)


def goal(slots: int, mean_seconds: float | None) -> int:
    """How many tasks the runner should hold: its slots, or two batches of very short tasks."""
    if mean_seconds is None:
        return slots
    batch = int(slots * BATCH_SECONDS / max(mean_seconds, 1e-6))
    if batch <= slots:
        return slots
    return 2 * min(batch, max(BATCH, slots))


def next_call(view: View) -> Call | Wait:
    """What a lane should do now."""
    aim = goal(view.slots, view.mean_seconds)
    room = _room(view, aim)
    idle = view.in_runner + view.asked < view.slots
    if view.unsettled and (view.closed or _due(view, idle)):
        return Call(min(view.unsettled, BATCH), room)
    # A short task's slot is no reason to call: a whole batch of them is, or a new job, whose tasks
    # may be more urgent than those that wait here.
    if view.hungry and room and (idle or view.woken or room >= min(aim, BATCH) // 2):
        return Call(0, room)
    return Wait(max(0.0, SETTLE_SECONDS - view.oldest_seconds) if view.unsettled else None)


def _room(view: View, aim: int) -> int:
    """How many tasks to ask for.

    Who was woken while short tasks wait here asks for a few more: one that is more urgent runs
    before them, in the next slot that is free.
    """
    if view.closed:
        return 0
    few_more = view.slots if view.woken and aim > view.slots else 0
    return max(0, min(BATCH, aim + few_more - view.in_runner - view.asked))


def _due(view: View, idle: bool) -> bool:
    return idle or view.unsettled >= BATCH or view.oldest_seconds >= SETTLE_SECONDS
