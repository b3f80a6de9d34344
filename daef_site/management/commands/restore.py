from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from daef_site import backup
from daef_site.management.commands.gateway import FAILURES


class Command(BaseCommand):
    help = "Puts a dump into the embedded store, makes it safe to go on from, and looks it over."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a dump that `backup` or pg_dump -Fc wrote")
        parser.add_argument(
            "--replace", action="store_true", help="give up the jobs that the store has now"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup.put_back(options["file"].absolute(), replace=options["replace"])
        except FAILURES as error:
            raise CommandError(str(error)) from error
