"""The last hour by the minute: attempts that ended, what failed, what waited and ran.

Read from the minutes that the ``figures`` loop keeps; the cost follows minutes, pools and error
codes, never tasks or attempts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from jobs.queries.formats import select
from jobs.queries.load import Place
from jobs.states import AttemptOutcome

MINUTES: Final = 60
"""As many as the lines show (console design, section 5a)."""

LATELY: Final = 15
"""Minutes of the share of attempts that fail (console design, section 5a)."""

PACE_MINUTES: Final = 5
"""Whole minutes that the pace is the mean of; one alone jumps."""

COMPARED_DAYS: Final = 7
FAILING: Final = (AttemptOutcome.FAILED.value, AttemptOutcome.LOST.value)

ENDED = """
select minute, outcome, code, sum(attempts)::bigint as attempts from minute_stats
where minute > %(since)s group by minute, outcome, code
"""

LOAD = """
select minute, pool_id, priority, queued, running from minute_load where minute > %(since)s
"""

# The same hour of the days before, each a range of the key.
USUAL = """
select coalesce(sum(m.attempts) filter (where m.outcome = any(%(failing)s)), 0)::bigint as failing,
    sum(m.attempts)::bigint as attempts
from generate_series(1, %(days)s) as day
join minute_stats m on m.minute > %(now)s - make_interval(days => day, mins => 30)
    and m.minute <= %(now)s - make_interval(days => day, mins => -30)
group by day
"""


@dataclass
class Hour:
    """Sixty minutes, the oldest first; the last one is under way.

    ``ended`` has a count per outcome. A figure is None for minutes in which nobody sampled.
    """

    minutes: list[datetime]
    ended: list[dict[str, int]]
    running: list[int | None]
    queued: dict[Place, list[int | None]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def pace(self) -> float:
        """Attempts that ended a minute, of late."""
        lately = self.ended[-PACE_MINUTES - 1 : -1]
        return sum(sum(counts.values()) for counts in lately) / PACE_MINUTES

    @property
    def failing_share(self) -> float | None:
        """The share of attempts that failed of late; None where none ended."""
        lately = self.ended[-LATELY:]
        ended = sum(sum(counts.values()) for counts in lately)
        failing = sum(counts.get(outcome, 0) for counts in lately for outcome in FAILING)
        return failing / ended if ended else None


def last_hour(*, now: datetime) -> Hour:
    """Return the last hour; two statements."""
    last = now.replace(second=0, microsecond=0)
    minutes = [last - timedelta(minutes=back) for back in reversed(range(MINUTES))]
    place = {minute: index for index, minute in enumerate(minutes)}
    hour = Hour(minutes, [{} for _ in minutes], [None] * MINUTES)
    since = {"since": minutes[0] - timedelta(minutes=1)}
    _add_ended(hour, place, select(ENDED, since))
    _add_load(hour, place, select(LOAD, since))
    return hour


def usual_failing_share(*, now: datetime) -> float | None:
    """Return the median share that failed in this hour of the last seven days; None without any."""
    parameters = {"now": now, "days": COMPARED_DAYS, "failing": list(FAILING)}
    shares = [row["failing"] / row["attempts"] for row in select(USUAL, parameters)]
    return median(shares) if shares else None


def _add_ended(hour: Hour, place: dict[datetime, int], rows: list[dict[str, Any]]) -> None:
    failures: dict[str, int] = defaultdict(int)
    for row in rows:
        index = place.get(row["minute"])
        if index is None:
            continue
        counts = hour.ended[index]
        counts[row["outcome"]] = counts.get(row["outcome"], 0) + row["attempts"]
        if row["outcome"] in FAILING:
            failures[row["code"] or row["outcome"]] += row["attempts"]
    hour.failures = dict(sorted(failures.items(), key=lambda item: (-item[1], item[0])))


def _add_load(hour: Hour, place: dict[datetime, int], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        index = place.get(row["minute"])
        if index is None:
            continue
        hour.running[index] = (hour.running[index] or 0) + row["running"]
        line = hour.queued.setdefault((row["pool_id"], row["priority"]), [None] * MINUTES)
        line[index] = row["queued"]
