"""Applies migrations at start-up, while others serve: one process at a time, no wait without end.

A statement that waits for a table makes everybody else queue up behind it, however quick it would
be itself. So it gives up after a second, lets the others through, and tries again.
"""

import random
import time
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import OperationalError, connection
from django.db.migrations import Migration

from faultpoints import reach

# Any constant will do as long as nobody else uses it: "DAEF" in ASCII.
LOCK_KEY = 0x44414546
WAIT_SECONDS = 60.0
"""How long to wait for another process that migrates, and for tables that others hold."""

TABLE_SECONDS = 1.0
"""How long one statement may wait for a table; for as long all others wait behind it."""

LOCK_NOT_AVAILABLE = "55P03"

OLDEST_TRANSACTION = """
select pid, application_name, floor(extract(epoch from clock_timestamp() - xact_start))::int
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
order by xact_start limit 1
"""

# What a build that was killed, or gave up, leaves behind: never used, in the way of the next one.
UNFINISHED_INDEXES = """
select quote_ident(c.relname) from pg_index i join pg_class c on c.oid = i.indexrelid
where not i.indisvalid and c.relname = any(%s) and c.relnamespace = current_schema()::regnamespace
"""


class MigrationsBusy(Exception):
    """The migrations have to wait for another process for too long; the message says for whom."""


class MigrationFailed(Exception):
    """A migration cannot be applied; the message names it and says what to do."""


class _Migrate(migrate.Command):
    """Django's command; knows which migration it is at."""

    current: Migration | None = None

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        """As Django calls it."""
        super().migration_progress_callback(action, migration, fake)
        if action == "apply_start":
            self.current = migration
            _prepare(migration)
        if action == "apply_success":
            reach("migrator.mid")


def apply_migrations() -> None:
    """Bring the database up to date. Raises MigrationsBusy or MigrationFailed."""
    try:
        _take_lock()
        _apply_patiently()
    finally:
        # Ends the session and with it the lock, also after an error left it unusable.
        connection.close()


def _take_lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 0")
        _wait_at_most(WAIT_SECONDS)
        try:
            cursor.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        except OperationalError as error:
            raise MigrationsBusy(
                f"another process has been applying migrations for over {WAIT_SECONDS:g} s; "
                "look for a hanging `manage.py` and start again."
            ) from error


def _wait_at_most(seconds: float) -> None:
    """Limit every wait for a lock from now on; 0 for no limit."""
    with connection.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, false)", [f"{int(seconds * 1000)}ms"])


def _apply_patiently() -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (waits := _applied()) is not None:
        if time.monotonic() > deadline:
            raise MigrationsBusy(
                f"the migration {waits.app_label}.{waits.name} gets no turn at its tables within "
                f"{WAIT_SECONDS:g} s; {_oldest_transaction()}"
            )
        time.sleep(random.uniform(0.5, 1.5) * TABLE_SECONDS)


def _applied() -> Migration | None:
    """None when all is done; the migration that found its tables held by others."""
    command = _Migrate()
    try:
        call_command(command, verbosity=0, interactive=False)
    except Exception as error:
        migration = command.current
        if migration is None:
            raise
        if getattr(error.__cause__, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            return migration
        raise MigrationFailed(_explained(migration, error)) from error
    return None


def _explained(migration: Migration, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    kept = (
        "It was taken back as a whole, and the version before it can go on"
        if migration.atomic
        else "What it did before stays and is found when it is tried again"
    )
    return (
        f"the migration {migration.app_label}.{migration.name} failed: {said}. {kept}. Mend what "
        "it names and start again, or run `python manage.py migrate`."
    )


def _oldest_transaction() -> str:
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_TRANSACTION)
        found = cursor.fetchone()
    if found is None:
        return "start again later."
    pid, name, seconds = found
    return (
        f"the oldest transaction is that of pid {pid} ({name or 'unnamed'}), open for {seconds} s. "
        f"End it (`select pg_terminate_backend({pid})`) and start again."
    )


def _prepare(migration: Migration) -> None:
    """Only concurrent builds wait for others without making them wait: those may take long."""
    _wait_at_most(TABLE_SECONDS if migration.atomic else 0)
    names = [
        operation.index.name
        for operation in migration.operations
        if isinstance(operation, AddIndexConcurrently)
    ]
    if names:
        _drop_unfinished(names)


def _drop_unfinished(names: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(UNFINISHED_INDEXES, [names])
        for (name,) in cursor.fetchall():
            cursor.execute(f"drop index concurrently if exists {name}")
