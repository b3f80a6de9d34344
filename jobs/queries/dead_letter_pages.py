"""Dead letters for people: pages that go on where one ended, and what speaks for a requeue.

Each statement reads the end of an index, whatever the number of dead letters.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from jobs.queries.dead_letters import ITEMS, DeadLetterFilter, item
from jobs.queries.formats import select
from jobs.states import AttemptOutcome

END_OF_TIME: Final = "infinity"
MOST_CODES: Final = 200
EVIDENCE_MINUTES: Final = 15

PAGE_IDS: Final = """
select d.task_id from dead_letter d
where {condition} and (d.buried_at, d.task_id) < (%(before_moment)s::timestamptz, %(before_task)s)
order by d.buried_at desc, d.task_id desc limit %(limit)s
"""

COUNT: Final = """
select count(*)::int as tasks from
    (select 1 from dead_letter d where {condition} limit %(most)s) counted
"""

# From code to code by jumps in the index, however many dead letters have each.
CODES: Final = """
with recursive code as (
    (select error_code, 1 as n from dead_letter order by error_code limit 1)
    union all
    select (select d.error_code from dead_letter d where d.error_code > code.error_code
        order by d.error_code limit 1), code.n + 1
    from code where code.error_code is not null and code.n < %(most)s
)
select error_code from code where error_code is not null
"""

SINCE_THEN: Final = """
select coalesce(sum(attempts) filter (where code = %(code)s), 0)::bigint as failed,
    coalesce(sum(attempts) filter (where outcome = %(succeeded)s), 0)::bigint as succeeded
from minute_stats where minute >= now() - make_interval(mins => %(minutes)s)
"""


class Place(NamedTuple):
    """A dead letter's place in the list: when it died, and its task's database id."""

    buried_at: datetime
    task: int


class Page(NamedTuple):
    """Dead letters, newest first; ``last`` is the place to go on from, None on the last page."""

    items: list[dict[str, Any]]
    last: Place | None


class Evidence(NamedTuple):
    """Attempts of the last minutes: those that ended with a code, and those that succeeded."""

    failed: int
    succeeded: int
    minutes: int

    @property
    def mended(self) -> bool:
        """Whether work ends well and no attempt met the code any more."""
        return self.succeeded > 0 and not self.failed


def newest_dead_letters(wanted: DeadLetterFilter, *, before: Place | None, limit: int) -> Page:
    """Return the next ones behind ``before``, one statement however many there are."""
    condition, parameters = wanted.condition()
    moment, task = before or (END_OF_TIME, 0)
    parameters |= {"before_moment": moment, "before_task": task, "limit": limit + 1}
    rows = select(ITEMS.format(ids=PAGE_IDS.format(condition=condition)), parameters)
    shown = rows[:limit]
    last = Place(shown[-1]["buried_at"], shown[-1]["task_id"]) if len(rows) > limit else None
    return Page([item(row) for row in shown], last)


def count_to(wanted: DeadLetterFilter, *, most: int) -> int:
    """Return how many there are, ``most`` where there are more."""
    condition, parameters = wanted.condition()
    return int(select(COUNT.format(condition=condition), {**parameters, "most": most})[0]["tasks"])


def error_codes() -> list[str]:
    """Return the codes that dead letters have, in order."""
    return [row["error_code"] for row in select(CODES, {"most": MOST_CODES})]


def evidence(code: str) -> Evidence:
    """Return how attempts ended in the last minutes, from the minutes' counts."""
    parameters = {
        "code": code,
        "succeeded": AttemptOutcome.SUCCEEDED.value,
        "minutes": EVIDENCE_MINUTES,
    }
    row = select(SINCE_THEN, parameters)[0]
    return Evidence(row["failed"], row["succeeded"], EVIDENCE_MINUTES)
