"""What may be written into ``DAEF_FAULTS``, and what it means. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VARIABLE = "DAEF_FAULTS"

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "gateway.after_validate": "a submission was read and planned; nothing is stored",
        "gateway.after_insert_before_commit": "the job's rows are written, not committed",
        "gateway.after_commit_before_reply": "the job is stored; the client has no answer yet",
        "ticketer.after_select": "the pools with ready work are known; no ticket was pushed",
        "ticketer.after_push": "tickets lie in Redis; the pass has not ended",
        "ticketer.due_before_commit": "backed-off tasks are moved to the queue, not committed",
        "worker.after_pop_before_claim": "an agent holds a ticket; it has not claimed",
        "worker.after_claim_before_exec": "an agent holds tasks; none has started",
        "worker.during_exec": "a runner has begun a task",
        "worker.after_exec_before_settle": "tasks have ended; their outcomes were not sent",
        "worker.after_settle_before_ack": "outcomes are settled; the agent still holds them",
        "claim.before_commit": "tasks are claimed, not committed; the pool's lock is held",
        "claim.after_commit_before_reply": "tasks are claimed; the agent does not know",
        "settle.before_commit": "outcomes are written, not committed",
        "settle.after_commit_before_reply": "outcomes are settled; the agent does not know",
        "reaper.between_select_and_update": "expired shares are found and locked, not ended",
        "action.after_update_before_audit": "an operator's action is done, its audit entry is not",
        "migrator.mid": "a migration was applied; others may follow",
    }
)
"""Every point by name, with what is done and not done when a process reaches it."""

ACTIONS = ("kill", "stop", "raise", "delay")
LONGEST_DELAY_MS = 600_000


class BadFaults(Exception):
    """``DAEF_FAULTS`` cannot be used; the message says what is wrong and what to write."""


@dataclass(frozen=True)
class Fault:
    """What to do at the ``hit``-th time a process reaches ``point`` (counted from 1)."""

    point: str
    action: str
    milliseconds: int = 0
    hit: int = 1

    def __str__(self) -> str:
        """As it is written in ``DAEF_FAULTS``."""
        wait = f":{self.milliseconds}" if self.action == "delay" else ""
        return f"{self.point}={self.action}{wait}@{self.hit}"


def parse_faults(text: str) -> dict[str, Fault]:
    """Read ``point=kill|stop|raise|delay:ms[@n],…``. Raises BadFaults."""
    found: dict[str, Fault] = {}
    for entry in filter(None, (word.strip() for word in text.split(","))):
        fault = _parse(entry)
        if fault.point in found:
            raise BadFaults(f"{fault.point} stands there twice; name a point once.")
        found[fault.point] = fault
    return found


def _parse(entry: str) -> Fault:
    point, _, rest = entry.partition("=")
    if point not in POINTS:
        raise BadFaults(f"{point!r} is no fault point; there are: {', '.join(POINTS)}.")
    what, at, count = rest.partition("@")
    action, colon, wait = what.partition(":")
    if action not in ACTIONS or bool(colon) != (action == "delay"):
        raise BadFaults(f"{entry!r}: write kill, stop, raise or delay:<milliseconds>.")
    milliseconds = _number(entry, wait, LONGEST_DELAY_MS) if colon else 0
    return Fault(point, action, milliseconds, _number(entry, count, 10**9) if at else 1)


def _number(entry: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= most):
        raise BadFaults(f"{entry!r}: write a whole number from 1 to {most}, not {text!r}.")
    return int(text)
