"""Applies migrations at start-up: one process at a time, with a limit to the wait."""

from typing import Any

from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import OperationalError, connection

from faultpoints import reach

# Any constant will do as long as nobody else uses it: "DAEF" in ASCII.
LOCK_KEY = 0x44414546
WAIT_SECONDS = 60


class MigrationsBusy(Exception):
    """Another process holds the migrations' lock for too long."""


class _Migrate(migrate.Command):
    """Django's command with a fault point after each migration."""

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        """As Django calls it."""
        super().migration_progress_callback(action, migration, fake)
        if action == "apply_success":
            reach("migrator.mid")


def apply_migrations() -> None:
    """Bring the database up to date. Raises MigrationsBusy after WAIT_SECONDS of waiting."""
    with connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 0")
        cursor.execute(f"set lock_timeout = '{WAIT_SECONDS}s'")
        try:
            cursor.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        except OperationalError as error:
            raise MigrationsBusy(
                f"another process has been applying migrations for over {WAIT_SECONDS} s; "
                "look for a hanging `manage.py` and start again."
            ) from error
        cursor.execute("set lock_timeout = '10s'")
    try:
        call_command(_Migrate(), verbosity=0, interactive=False)
    finally:
        # Ends the session and with it the lock, also after an error left it unusable.
        connection.close()
