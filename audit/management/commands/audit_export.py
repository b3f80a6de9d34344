"""``manage.py audit_export``: the audit log as CSV or JSON lines."""

import json
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.chain import Entry, time_text
from audit.events import Action, Result
from audit.export import AuditFilter, csv_lines, oldest_first

FILTERS = ("action", "result", "tenant", "actor", "since", "until")


class Command(BaseCommand):
    """Write audit entries to standard output."""

    help = """Writes the audit log to standard output, oldest entry first, a page in memory at a
time, however long it is. Filters narrow together. CSV is for people: a cell that a
spreadsheet would run as a formula begins with a single quote. With --json it is one
object a line, from which each entry's hash can be computed again.

Examples:
  audit_export > audit.csv
  audit_export --action dead_letter_requeue --from 2026-02-18T00:00:00Z
  audit_export --json --actor token:ci-acme | jq .reason

Exit status: 0 written; 1 a fault; 2 a filter that cannot be used."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return the parser, which leaves the help's lines as they are."""
        options["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **options)

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
        parser.add_argument("--json", action="store_true", help="print JSON, an object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the lines."""
        entries = oldest_first(AuditFilter(**{name: options[name] for name in FILTERS}))
        for line in (_json_lines if options["json"] else csv_lines)(entries):
            self.stdout.write(line, ending="")


def _json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        document = {**entry._asdict(), "happened_at": time_text(entry.happened_at)}
        yield json.dumps(document, ensure_ascii=False) + "\n"


def _moment(text: str) -> datetime:
    """Read RFC 3339; a time without offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("use a time like 2026-01-31T08:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
