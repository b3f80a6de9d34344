"""The console's words: what a state, a number, a duration or a change is called. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from access.queries import ACTIVE, EXPIRED, REVOKED
from audit.events import Result
from jobs.queries.overview import COUNTED_TO
from jobs.queries.workers import LOST
from jobs.states import AttemptOutcome, EventKind, JobStatus, TaskStatus, WorkerState

NARROW: Final = "\N{NO-BREAK SPACE}"
UNKNOWN: Final = "–"


class Badge(NamedTuple):
    """How a state is shown: its word, its icon, and the CSS class of its colour."""

    word: str
    icon: str
    colour: str = ""


BADGES: Final[dict[str, Badge]] = {
    JobStatus.PENDING: Badge("Pending", "clock"),
    JobStatus.RUNNING: Badge("Running", "spin", "run"),
    JobStatus.SUSPENDED: Badge("Suspended", "pause", "hold"),
    JobStatus.SUCCEEDED: Badge("Succeeded", "check", "ok"),
    JobStatus.PARTIALLY_SUCCEEDED: Badge("Partly succeeded", "half", "warn"),
    JobStatus.FAILED: Badge("Failed", "x", "bad"),
    JobStatus.CANCELLED: Badge("Cancelled", "slash"),
    TaskStatus.BLOCKED: Badge("Blocked", "lock", "dash"),
    TaskStatus.QUEUED: Badge("Queued", "clock"),
    TaskStatus.DEAD_LETTERED: Badge("Dead-lettered", "dead", "solid"),
    AttemptOutcome.RELEASED: Badge("Released", "redo"),
    AttemptOutcome.LOST: Badge("Lost", "x", "bad"),
    WorkerState.ACTIVE: Badge("Active", "check", "ok"),
    WorkerState.DRAINING: Badge("Draining", "hour", "warn"),
    WorkerState.GONE: Badge("Left", "slash"),
    LOST: Badge("Lost", "x", "bad"),
    ACTIVE: Badge("Active", "check", "ok"),
    EXPIRED: Badge("Expired", "clock"),
    REVOKED: Badge("Revoked", "slash", "bad"),
    Result.OK: Badge("Allowed", "check", "ok"),
    Result.DRY_RUN: Badge("Dry run", "info"),
    Result.REFUSED: Badge("Refused", "slash", "warn"),
    Result.ERROR: Badge("Failed", "x", "bad"),
}
"""By the API's value; jobs, tasks, attempts and workers use the same word for the same thing."""

EVENTS: Final[dict[str, str]] = {
    EventKind.SUBMITTED: "Submitted",
    EventKind.CLAIMED: "Tasks claimed",
    EventKind.SETTLED: "Tasks settled",
    EventKind.LEASE_LOST: "A worker was lost with its tasks",
    EventKind.RELEASED: "Tasks given back",
    EventKind.TIMED_OUT: "A time limit passed",
    EventKind.CANCEL_REQUESTED: "Cancel asked for",
    EventKind.TASKS_CANCELLED: "Tasks cancelled",
    EventKind.SUSPENDED: "Suspended",
    EventKind.RESUMED: "Resumed",
    EventKind.RETRIED: "Dead-lettered tasks opened again",
    EventKind.ENDED: "Ended",
}


def number(value: float | None) -> str:
    """Return a number with commas; a dash where it is not known."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}" if isinstance(value, float) and value % 1 else f"{value:,.0f}"


def short_number(value: int) -> str:
    """Return a number for a tile: exact below 100,000, else one decimal and k or M."""
    if value < 100_000:
        return f"{value:,}"
    return f"{value / 1e6:.1f}{NARROW}M" if value >= 1_000_000 else f"{value / 1e3:.1f}{NARROW}k"


def capped(count: int) -> str:
    """Return a count that was made to one more than it is shown to."""
    return f"{count:,}" if count <= COUNTED_TO else "10k+"


def percent(value: float | None) -> str:
    """Return a percentage without decimals; a dash where there is no whole."""
    return UNKNOWN if value is None else f"{value:.0f}{NARROW}%"


def ordinal(value: int) -> str:
    """Return ``2nd``, ``3rd``, ``25th``."""
    tens = value % 100 in (11, 12, 13)
    return f"{value:,}{'th' if tens else {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th')}"


def age(seconds: float | None) -> str:
    """Return how long something lasted, in its one or two largest units, days included."""
    if seconds is None:
        return UNKNOWN
    whole = max(round(seconds), 0)
    for size, unit, next_size, next_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
    ):
        if whole >= size:
            return _two_units(whole // size, unit, whole % size // next_size, next_unit)
    minutes, rest = divmod(whole, 60)
    return _two_units(minutes, "min", rest, "s") if minutes else f"{rest}{NARROW}s"


def took(seconds: float | None) -> str:
    """Return how long something took; one decimal below ten seconds."""
    if seconds is not None and seconds < 10:
        return f"{max(seconds, 0):.1f}{NARROW}s"
    return age(seconds)


def plain_name(name: str) -> str:
    """Return a figure's name as people write it."""
    return name.replace("_", " ").replace(" usd", ", USD")


def parsed_time(value: datetime | str | None) -> datetime | None:
    """Return a time of the database, or an RFC 3339 one of a document, as a time in UTC."""
    if value is None or isinstance(value, datetime):
        return value and value.astimezone(UTC)
    return datetime.fromisoformat(value).astimezone(UTC)


def clock(value: datetime, *, now: datetime) -> str:
    """Return the time of day in UTC, with the date when it is not today's."""
    return f"{value:%H:%M:%S}" if value.date() == now.date() else f"{value:%d %b %H:%M}"


def _two_units(most: int, unit: str, rest: int, next_unit: str) -> str:
    return f"{most}{NARROW}{unit}" + (f" {rest}{NARROW}{next_unit}" if rest else "")
