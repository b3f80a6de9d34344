"""Dead letters by their cause, and those that bear none: left by a process older than causes."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.transitions.sql import columns, execute, fetch

# One that a requeue holds is left for the next pass.
UNMARKED = """
select task_id, error_code, error_message from dead_letter where fingerprint = ''
order by buried_at limit %(limit)s for update skip locked
"""

MARK = """
update dead_letter d set fingerprint = o.fingerprint
from unnest(%(task)s::bigint[], %(fingerprint)s::text[]) as o(task, fingerprint)
where d.task_id = o.task and d.fingerprint = ''
"""


OLDEST = """
select task_id from dead_letter where fingerprint = %(fingerprint)s
order by buried_at, task_id limit %(limit)s
"""


class Cause(NamedTuple):
    """A dead letter and the fingerprint of what it died of."""

    task: int
    fingerprint: str


def unmarked(*, limit: int) -> list[tuple[int, str, str]]:
    """Some ``(task, code, message)`` without a cause, locked."""
    return fetch(UNMARKED, {"limit": limit})


def mark(rows: Sequence[Cause]) -> int:
    """Write the causes; returns how many."""
    return execute(MARK, columns(rows, Cause._fields))


def oldest_of(fingerprint: str, *, limit: int) -> list[int]:
    """The dead letters that wait longest of those with this cause."""
    rows = fetch(OLDEST, {"fingerprint": fingerprint, "limit": limit})
    return [task for (task,) in rows]
