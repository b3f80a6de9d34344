"""``manage.py gateway``: a control plane in one terminal; ``start`` serves ``up`` too."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from daef_site import ground, local, migrations_lock, ports, processes, stores

FAILURES = (
    processes.CannotStart,
    ports.PortTaken,
    stores.StoreFailed,
    ground.NoGround,
    migrations_lock.MigrationsBusy,
    migrations_lock.MigrationFailed,
)


class Command(BaseCommand):
    help = "A whole control plane: the stores, HTTP, gRPC and the controllers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--http-only", action="store_true", help="leave gRPC and controllers to others"
        )
        parser.add_argument(
            "--foreground",
            action="store_true",
            help="with --http-only: become the HTTP server, as containers want it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["foreground"]:
            start(processes.Wish(http_only=options["http_only"]))
        elif options["http_only"]:
            _run(local.serve_http)
        else:
            raise CommandError("--foreground needs --http-only beside it.")


def start(wish: processes.Wish) -> None:
    """Run the fabric; what prevents it becomes one clear line and exit code 1."""
    _run(lambda: local.run(wish))


def _run(serve: Callable[[], None]) -> None:
    try:
        serve()
    except FAILURES as error:
        raise CommandError(str(error)) from error
