"""``manage.py verify``: recompute every invariant and name what breaks one."""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import integrity


class Command(BaseCommand):
    """Check the whole database; exit status 1 when a rule is broken."""

    help = """Recomputes every invariant of jobs, tasks, leases, attempts, events, counters, limits,
budgets and the audit log from the rows, and prints what breaks one, with examples of
the rows. Reads one snapshot, changes nothing, may run beside work. It reads everything:
on a large database it takes minutes, so run it after a restore, an upgrade or a crash,
and before an incident is closed.

Examples:
  verify
  verify --json | jq .violations

Exit status: 0 the database is sound; 1 it is not, or a fault."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return the parser, which leaves the help's lines as they are."""
        options["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The one option."""
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings."""
        violations = integrity.check_all()
        if options["json"]:
            found = [asdict(violation) for violation in violations]
            self.stdout.write(json.dumps({"sound": not violations, "violations": found}))
        for violation in () if options["json"] else violations:
            self.stdout.write(f"{violation.name}: {violation.rule}")
            self.stdout.write(f"  broken by {', '.join(violation.found)}")
        if violations:
            raise CommandError(f"{len(violations)} rules are broken", returncode=1)
        if not options["json"]:
            self.stdout.write(f"sound: {len(integrity.rules())} rules hold")
