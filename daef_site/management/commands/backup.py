from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from daef_site import backup
from daef_site.management.commands.gateway import FAILURES


class Command(BaseCommand):
    help = "Writes a dump of the whole database to a new file, while work goes on."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file to write; it must not be there yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup.take(options["file"].absolute())
        except FAILURES as error:
            raise CommandError(str(error)) from error
