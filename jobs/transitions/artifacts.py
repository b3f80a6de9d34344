"""Blobs and log lines, written only under a lease that is held."""

from collections.abc import Sequence
from typing import Any

from jobs.transitions.sql import fetch, integers

INSERT_LINES = """
insert into task_log (task_id, epoch, written_at, text)
select o.task_id, o.epoch, clock_timestamp(), o.text
from unnest(%(task_id)s::bigint[], %(epoch)s::int[], %(text)s::text[])
    with ordinality as o(task_id, epoch, text, n)
join task t on t.id = o.task_id and t.epoch = o.epoch and t.owner = %(owner)s
    and t.status = 'Running'
where (select count(*) from task_log l where l.task_id = o.task_id and l.epoch = o.epoch)
    + o.n <= %(most)s
order by o.n
"""

# A parent's result is there once it has ended; in task order, so that collectors see the same
# order at every attempt.
PARENTS = """
select t.id, i.name, t.kind, t.status, t.result, t.result_sha256, t.error_code, t.error_message
from edge e join task t on t.id = e.parent_id join task_input i on i.task_id = t.id
where e.child_id = %(task)s and t.id > %(after)s
order by t.id limit %(page)s
"""


def known(named: Sequence[tuple[int, str]]) -> set[tuple[int, str]]:
    """Which of these ``(task, sha256)`` name a stored blob of the task's tenant."""
    rows = fetch(
        "select o.task_id, o.sha256 from unnest(%s::bigint[], %s::text[]) as o(task_id, sha256) "
        "join task t on t.id = o.task_id "
        "join artifact a on a.tenant_id = t.tenant_id and a.sha256 = o.sha256",
        (integers(task for task, _ in named), [sha256 for _, sha256 in named]),
    )
    return {(task, sha256) for task, sha256 in rows}


def append_lines(owner: int, lines: Sequence[tuple[int, int, str]], *, most: int) -> None:
    """Keep ``(task, epoch, text)`` of tasks the worker holds, at most ``most`` per attempt."""
    if lines:
        fetch(
            INSERT_LINES,
            {
                "owner": owner,
                "most": most,
                "task_id": integers(task for task, _, _ in lines),
                "epoch": integers(epoch for _, epoch, _ in lines),
                "text": [text for _, _, text in lines],
            },
        )


def parents_page(task: int, *, after: int, page: int) -> list[tuple[Any, ...]]:
    """Some parents of a task behind the parent ``after``."""
    return fetch(PARENTS, {"task": task, "after": after, "page": page})
