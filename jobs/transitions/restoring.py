"""A database that went back in time: its numbers and agents are not those of today."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from django.db import InternalError, NotSupportedError, ProgrammingError, transaction

from jobs.transitions.sql import execute, fetch

# What PostgreSQL calls this database. A dump that is restored makes the tables anew, elsewhere the
# database and the cluster too; recovery to a point in time and a standby that takes over begin a
# new timeline. Services that keep one of these to themselves leave the others.
FACTS = {
    "cluster": "select system_identifier::text from pg_control_system()",
    "database": "select oid::text from pg_database where datname = current_database()",
    "tables": "select 'task'::regclass::oid::text",
    "timeline": "select left(pg_walfile_name(pg_current_wal_lsn()), 8)",
}

_untold: set[str] = set()


class HeldShare(NamedTuple):
    """A share as the restored tables have it."""

    task_id: int
    epoch: int
    owner: int


def facts() -> dict[str, str]:
    """What this database is called now; "" for what is not told."""
    return {name: "" if name in _untold else _told(name) for name in FACTS}


def _told(name: str) -> str:
    try:
        with transaction.atomic():
            return str(fetch(FACTS[name])[0][0])
    except (ProgrammingError, NotSupportedError, InternalError):
        # Refused once, refused always: asking on would fill the server's log.
        _untold.add(name)
        return ""


def known_facts() -> dict[str, str] | None:
    """What it was called when somebody last looked, None for never; locks the row."""
    rows = fetch("select facts::text from store_identity order by id limit 1 for update")
    return json.loads(rows[0][0]) if rows else None


def remember(found: Mapping[str, str], *, restored: bool) -> None:
    """Keep what it is called."""
    execute(
        "insert into store_identity (id, facts, restores, noticed_at) "
        "values (1, %(facts)s, %(restored)s, clock_timestamp()) on conflict (id) do update set "
        "facts = excluded.facts, restores = store_identity.restores + %(restored)s, "
        "noticed_at = excluded.noticed_at",
        {"facts": json.dumps(dict(found)), "restored": int(restored)},
    )


def dismiss_workers() -> int:
    """End every incarnation that is known here, the living ones with it; returns how many."""
    return execute("update worker set state = 'Gone', free_slots = 0 where state <> 'Gone'")


def held_shares() -> list[HeldShare]:
    """Every share that is under a lease."""
    statement = (
        "select t.id, t.epoch, t.owner from lease l join task t on t.id = any(l.task_ids) "
        "and t.owner = l.owner where t.status = 'Running' order by t.id"
    )
    return [HeldShare(*row) for row in fetch(statement)]


def skip_numbers(table: str, skipped: int, *, at_least: int = 0) -> int:
    """Leave out the next ``skipped`` numbers of a table, and those up to ``at_least``.

    Returns the number that comes next.
    """
    (sequence,) = fetch("select pg_get_serial_sequence(%s, 'id')", (table,))[0]
    statement = "select setval(%(seq)s, greatest(nextval(%(seq)s) + %(skip)s, %(least)s)) + 1"
    parameters = {"seq": sequence, "skip": skipped, "least": at_least}
    return int(fetch(statement, parameters)[0][0])
