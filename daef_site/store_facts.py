"""What the start-up checks ask of PostgreSQL and Redis, on connections like those we work with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from daef_site import env
from queueing.rq_client import QueueUnavailable, TicketQueue, serves_strangers

# ``source`` says who set it: the server's file, the database, the role, or the DSN's options.
DURABILITY = """
select name, source from pg_settings
where setting = 'off' and name in ('fsync', 'synchronous_commit', 'full_page_writes')
order by name
"""

SERVER = """
select current_setting('server_version_num')::int, current_setting('TimeZone'),
    r.rolname, r.rolsuper,
    least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int,
        nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)),
    extract(epoch from clock_timestamp())::float
from pg_roles r, pg_database d
where r.rolname = current_user and d.datname = current_database()
"""


class PostgresFacts(NamedTuple):
    """A PostgreSQL server as one of our sessions sees it.

    ``switched_off`` maps a setting that durability needs to who switched it off;
    ``connections`` is how many we may open; ``clock_ahead_seconds`` is the server's clock minus
    ours, at the least.
    """

    version: int
    time_zone: str
    role: str
    is_superuser: bool
    connections: int
    clock_ahead_seconds: float
    switched_off: Mapping[str, str] = MappingProxyType({})


class SchemaFacts(NamedTuple):
    """Migrations that wait, and applied ones that this version does not know."""

    waiting: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class RedisFacts(NamedTuple):
    """``policy`` is None where Redis does not answer, "" where it does not tell.

    Whether it serves who shows no password is asked of Redis on other machines only.
    """

    policy: str | None
    serves_strangers: bool = False


def postgres() -> PostgresFacts:
    """Ask the server. Raises DatabaseError where it does not answer."""
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute(SERVER)
        after = time.time()
        version, time_zone, role, is_superuser, connections, clock = cursor.fetchone()
    return PostgresFacts(
        version=version,
        time_zone=time_zone,
        role=role,
        is_superuser=is_superuser,
        connections=connections,
        # Whatever lies between question and answer is no difference: those may take long.
        clock_ahead_seconds=max(clock - after, 0.0) or min(clock - before, 0.0),
        switched_off=switched_off(),
    )


def switched_off() -> dict[str, str]:
    """What durability needs and our session has off, with who switched it off."""
    with connection.cursor() as cursor:
        cursor.execute(DURABILITY)
        return dict(cursor.fetchall())


def newest_migration() -> int:
    """A number that changes with every migration that is applied or taken back."""
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(sum(id), 0)::bigint from django_migrations")
        return int(cursor.fetchone()[0])


def schema() -> SchemaFacts:
    """Compare the database's migrations with ours; reading them all takes some 0.1 s."""
    loader = MigrationExecutor(connection).loader
    applied, known = set(loader.applied_migrations), set(loader.disk_migrations or ())
    # Of an application that is not installed here nothing can be said.
    ours = {name for name in applied - known if name[0] in apps.app_configs}
    return SchemaFacts(waiting=_shown(known - applied), unknown=_shown(ours))


def _shown(migrations: set[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{app}.{name}" for app, name in sorted(migrations))


def redis(url: str) -> RedisFacts:
    """Ask the Redis at ``url``; never raises for what it does not answer."""
    try:
        policy = TicketQueue(url).eviction_policy()
    except QueueUnavailable:
        return RedisFacts(None)
    return RedisFacts(policy, not env.is_loopback(env.host_of(url)) and serves_strangers(url))
