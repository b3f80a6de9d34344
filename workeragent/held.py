"""What the agent holds: every lease share from its claim until its outcome was answered.

One lock, no I/O. Times are seconds of the monotonic clock.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from proto.daef.v1 import worker_pb2

Lease = tuple[int, int]
"""(task id, lease epoch)"""


class Stop(Enum):
    """Why a task was told to stop, which decides what its outcome will be."""

    GONE = "the lease is not held any more: nothing is reported"
    TIMEOUT = "it ran longer than its start-to-close time: failed"
    RELEASE = "the agent goes: handed back"


@dataclass(slots=True)
class Share:
    """One lease share held."""

    claimed: worker_pb2.ClaimedTask
    lease_until: float
    arrived: float
    open: bool = True
    in_runner: bool = False
    outcome: worker_pb2.Outcome | None = None
    stop: Stop | None = None
    stopped_at: float = 0.0

    @property
    def lease(self) -> Lease:
        """The share's key."""
        return self.claimed.task_id, self.claimed.lease_epoch


class Held:
    """The book of lease shares, shared by the lanes, the heartbeat and the runner's reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[int, Share] = {}
        # By whether they have to run alone.
        self._parked: dict[bool, deque[int]] = {False: deque(), True: deque()}
        self._in_runner = {False: 0, True: 0}
        self._finished: deque[int] = deque()
        self._postponed: list[tuple[float, int]] = []
        self._oldest = 0.0

    def add(self, tasks: Iterable[worker_pb2.ClaimedTask], lease_until: float, now: float) -> None:
        """Book newly claimed tasks; they wait until ``start`` lets them go."""
        with self._lock:
            for claimed in tasks:
                self._forget(claimed.task_id)
                self._shares[claimed.task_id] = Share(claimed, lease_until, now)
                self._parked[claimed.run_alone].append(claimed.task_id)

    def start(self, *, alone: bool) -> list[worker_pb2.ClaimedTask]:
        """The tasks that may go to their runner now.

        ``alone``: those that have to run alone. They have a runner of their own, and go there one
        at a time.
        """
        with self._lock:
            parked = self._parked[alone]
            count = len(parked)
            if alone:
                count = min(count, 1 - self._in_runner[True])
            return [self._enter(parked.popleft()) for _ in range(count)]

    def waits_alone(self) -> bool:
        """Whether a task that has to run alone waits for its runner."""
        with self._lock:
            return bool(self._parked[True])

    def ended(self, outcomes: Iterable[worker_pb2.Outcome], now: float) -> None:
        """The runner is done with these; outcomes of shares that are gone are dropped."""
        with self._lock:
            for outcome in outcomes:
                share = self._shares.get(outcome.task_id)
                if share is not None and share.claimed.lease_epoch == outcome.lease_epoch:
                    self._end(share, outcome, now)

    def take(self, count: int, budget_bytes: int) -> list[worker_pb2.Outcome]:
        """Up to ``count`` finished outcomes of at most ``budget_bytes``, at least one."""
        with self._lock:
            taken: list[worker_pb2.Outcome] = []
            while self._finished and len(taken) < count:
                outcome = self._shares[self._finished[0]].outcome
                if outcome is None:
                    raise AssertionError("a finished share has an outcome")
                budget_bytes -= len(outcome.result)
                if taken and budget_bytes < 0:
                    break
                self._finished.popleft()
                taken.append(outcome)
            return taken

    def settled(self, outcomes: Iterable[worker_pb2.Outcome]) -> None:
        """These were answered (applied, repeated, fenced or rejected): not held any more."""
        with self._lock:
            for outcome in outcomes:
                share = self._shares.get(outcome.task_id)
                if share is not None and share.outcome is outcome:
                    # Taken before, so it is in no line any more: no need to look.
                    del self._shares[outcome.task_id]

    def postpone(self, outcomes: Iterable[worker_pb2.Outcome], until: float) -> None:
        """These could not be settled for now: they are in nobody's line until then."""
        with self._lock:
            for outcome in outcomes:
                share = self._shares.get(outcome.task_id)
                if share is not None and share.outcome is outcome:
                    self._postponed.append((until, outcome.task_id))

    def revive(self, now: float) -> bool:
        """Put what was postponed until now back in line; whether there was anything."""
        with self._lock:
            due = [task_id for until, task_id in self._postponed if until <= now]
            self._postponed = [each for each in self._postponed if each[0] > now]
            if due and not self._finished:
                self._oldest = now
            self._finished.extend(due)
            return bool(due)

    def leases(self) -> list[Lease]:
        """Every share to name in a heartbeat, unsettled outcomes included."""
        with self._lock:
            return [
                (task_id, share.claimed.lease_epoch)
                for task_id, share in self._shares.items()
                if share.stop is not Stop.GONE
            ]

    def renewed(self, leases: Iterable[Lease], lease_until: float) -> None:
        """A heartbeat that named these was answered."""
        with self._lock:
            for task_id, epoch in leases:
                share = self._shares.get(task_id)
                if share is not None and share.claimed.lease_epoch == epoch:
                    share.lease_until = lease_until

    def still_held(self, outcome: worker_pb2.Outcome, now: float) -> bool:
        """Whether the lease of a finished task still runs, so that settling it makes sense."""
        with self._lock:
            share = self._shares.get(outcome.task_id)
            return share is not None and share.outcome is outcome and now < share.lease_until

    def stop(self, leases: Iterable[Lease], why: Stop, now: float) -> list[Lease]:
        """Mark shares as to be stopped; answers those the runner has to be told of.

        Finished ones are left alone: their settlement is answered by the control plane.
        """
        with self._lock:
            return [lease for lease in leases if self._mark(lease, why, now)]

    def expired(self, now: float) -> list[Lease]:
        """Shares whose lease ended by this agent's own clock; finished ones are forgotten."""
        with self._lock:
            late = [share for share in self._shares.values() if share.lease_until <= now]
            for share in late:
                if share.outcome is not None:
                    self._forget(share.claimed.task_id)
            return [share.lease for share in late if share.outcome is None]

    def release_parked(self, before: float, *, alone: bool) -> bool:
        """Hand back what arrived before and has not been sent to its runner; whether any was."""
        with self._lock:
            late = [t for t in self._parked[alone] if self._shares[t].arrived <= before]
            for task_id in late:
                self._parked[alone].remove(task_id)
                self._end(self._shares[task_id], None, time.monotonic())
            return bool(late)

    def runner_lost(
        self, running: frozenset[int], by_itself: bool, now: float, *, alone: bool
    ) -> list[int]:
        """A runner is dead. Books an outcome for each task that was in it.

        ``running`` are the tasks that had started, ``alone`` says which runner it was. Answers
        those blamed for the death.
        """
        with self._lock:
            blamed = []
            for task_id, share in list(self._shares.items()):
                if not share.in_runner or share.claimed.run_alone != alone:
                    continue
                lost = by_itself and task_id in running and share.stop is None
                deaf = not by_itself and task_id in running and share.stop is Stop.TIMEOUT
                if lost:
                    blamed.append(task_id)
                    self._end(share, _worker_lost(share.claimed), now)
                else:
                    self._end(share, _deaf(share) if deaf else None, now)
            return blamed

    def in_runner(self, *, alone: bool) -> list[Share]:
        """The shares that a runner has, for the watch over time limits and stops."""
        with self._lock:
            return [
                share
                for share in self._shares.values()
                if share.in_runner and share.claimed.run_alone == alone
            ]

    def counts(self, now: float) -> tuple[int, int, float]:
        """(running or waiting to run, finished and unsent, seconds the oldest of those waits)."""
        with self._lock:
            oldest = now - self._oldest if self._finished else 0.0
            running = sum(self._in_runner.values()) + sum(map(len, self._parked.values()))
            return running, len(self._finished), oldest

    def __len__(self) -> int:
        with self._lock:
            return len(self._shares)

    def _enter(self, task_id: int) -> worker_pb2.ClaimedTask:
        share = self._shares[task_id]
        share.in_runner = True
        self._in_runner[share.claimed.run_alone] += 1
        return share.claimed

    def _end(self, share: Share, outcome: worker_pb2.Outcome | None, now: float) -> None:
        """``outcome`` None, or of unspecified kind, means that it did not run to its end."""
        if share.outcome is not None:
            return
        self._leave(share)
        if share.stop is Stop.GONE:
            self._forget(share.claimed.task_id)
            return
        if outcome is None or outcome.kind == worker_pb2.OUTCOME_KIND_UNSPECIFIED:
            outcome = _interrupted(share, outcome)
        share.outcome = outcome
        if share.claimed.priority > 0:
            # Somebody waits for this one: as if it had waited long enough to be settled.
            self._oldest = 0.0
        elif not self._finished:
            self._oldest = now
        self._finished.append(share.claimed.task_id)

    def _leave(self, share: Share) -> None:
        if share.open:
            self._in_runner[share.claimed.run_alone] -= share.in_runner
            share.open = share.in_runner = False

    def _mark(self, lease: Lease, why: Stop, now: float) -> bool:
        share = self._shares.get(lease[0])
        if share is None or share.claimed.lease_epoch != lease[1] or share.outcome is not None:
            return False
        if share.stop is None:
            share.stopped_at = now
        elif share.stop is Stop.GONE:
            return share.in_runner
        share.stop = why
        if not share.in_runner and why is Stop.GONE:
            self._forget(lease[0])
        return share.in_runner

    def _forget(self, task_id: int) -> None:
        share = self._shares.pop(task_id, None)
        if share is None:
            return
        self._leave(share)
        self._postponed = [each for each in self._postponed if each[1] != task_id]
        for line in (self._parked[share.claimed.run_alone], self._finished):
            if task_id in line:
                line.remove(task_id)


def _interrupted(share: Share, outcome: worker_pb2.Outcome | None) -> worker_pb2.Outcome:
    task_id, epoch = share.lease
    ending = worker_pb2.Outcome(task_id=task_id, lease_epoch=epoch)
    if outcome is not None:
        ending.CopyFrom(outcome)
    ending.kind = worker_pb2.OUTCOME_KIND_RELEASED
    if share.stop is Stop.TIMEOUT:
        _time_out(ending, share, "start_to_close_exceeded", "")
    return ending


def _deaf(share: Share) -> worker_pb2.Outcome:
    task_id, epoch = share.lease
    ending = worker_pb2.Outcome(task_id=task_id, lease_epoch=epoch)
    _time_out(ending, share, "stop_ignored", " and did not stop when told to")
    return ending


def _time_out(ending: worker_pb2.Outcome, share: Share, code: str, more: str) -> None:
    limit = share.claimed.start_to_close_seconds
    ending.kind = worker_pb2.OUTCOME_KIND_FAILED
    ending.error_class = worker_pb2.ERROR_CLASS_TIMEOUT
    ending.error_code = code
    ending.error_message = f"The task ran longer than {limit:g} s{more}."


def _worker_lost(claimed: worker_pb2.ClaimedTask) -> worker_pb2.Outcome:
    return worker_pb2.Outcome(
        task_id=claimed.task_id,
        lease_epoch=claimed.lease_epoch,
        kind=worker_pb2.OUTCOME_KIND_FAILED,
        error_class=worker_pb2.ERROR_CLASS_WORKER_LOST,
        error_code="worker_lost",
        error_message="The process that ran the task died.",
    )
