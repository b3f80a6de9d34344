"""``manage.py verify``: recompute every invariant and name what breaks one."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import integrity


class Command(BaseCommand):
    """Check the whole database; exit status 1 when a rule is broken."""

    help = (
        "Recomputes every invariant of jobs, tasks, leases, attempts, events, counters, limits, "
        "budgets and the audit log from the rows and prints what breaks one. Reads one snapshot, "
        "changes nothing, may run beside work. Exit status 0: the database is sound; 1: it is not."
    )

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
