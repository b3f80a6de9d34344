"""Conditions: made, merged with what stood there, and told as events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Condition = dict[str, Any]
LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Holds:
    """That something holds, does not, or (None) is not known; and why."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def conditions(
    before: Sequence[Condition], now: Iterable[Holds], generation: int, moment: str
) -> list[Condition]:
    """The conditions as a status has them; a time changes only with the status it is about."""
    former = {each["type"]: each for each in before}
    return [_condition(former.get(each.type), each, generation, moment) for each in now]


def _condition(before: Condition | None, holds: Holds, generation: int, moment: str) -> Condition:
    status = "Unknown" if holds.status is None else str(holds.status)
    since = before["lastTransitionTime"] if before and before["status"] == status else moment
    return {
        "type": holds.type,
        "status": status,
        "reason": holds.reason,
        "message": holds.message[:LONGEST_MESSAGE],
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }


def condition(resource: dict[str, Any], kind: str) -> Condition:
    """A resource's condition of this type, {} where it has none."""
    found = resource.get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == kind), {})


def written(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str) -> datetime:
    """A time as Kubernetes or the fabric wrote it."""
    return datetime.fromisoformat(text)
