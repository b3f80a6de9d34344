from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate

from daef_site.migrations_lock import MigrationFailed, MigrationsBusy, apply_migrations

# With one of these it is Django's own command, for whoever knows what they do.
SPECIAL = ("app_label", "fake", "fake_initial", "plan", "check_unapplied", "run_syncdb", "prune")


class Command(migrate.Command):
    help = (
        "Brings the database up to date as a gateway does at its start: one process at a time, "
        "while others work. With an application or an option it is Django's command."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if any(options.get(name) for name in SPECIAL):
            super().handle(*args, **options)
            return
        try:
            apply_migrations()
        except (MigrationsBusy, MigrationFailed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("the database is up to date")
