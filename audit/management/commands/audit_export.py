"""``manage.py audit_export``: the audit log as CSV."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from audit.events import Action, Result
from audit.export import AuditFilter, csv_lines


class Command(BaseCommand):
    """Write audit entries to standard output."""

    help = (
        "Writes the audit log as CSV to standard output, oldest entry first, a page in memory at "
        "a time. Cells that a spreadsheet would run as a formula begin with a single quote."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The filters; together they narrow."""
        parser.add_argument("--action", choices=[action.value for action in Action])
        parser.add_argument("--result", choices=[result.value for result in Result])
        parser.add_argument("--tenant", help="the tenant's name")
        parser.add_argument("--actor", help="who did it, as the entries call them")
        parser.add_argument(
            "--from", dest="since", type=_moment, help="from this moment on (RFC 3339)"
        )
        parser.add_argument(
            "--to", dest="until", type=_moment, help="before this moment (RFC 3339)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the lines."""
        names = ("action", "result", "tenant", "actor", "since", "until")
        for line in csv_lines(AuditFilter(**{name: options[name] for name in names})):
            self.stdout.write(line, ending="")


def _moment(text: str) -> datetime:
    """Read RFC 3339; a time without offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("use a time like 2026-01-31T08:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
