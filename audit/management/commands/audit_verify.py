"""``manage.py audit_verify``: walk the audit log's chain and name the first thing amiss."""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.chain import START, Head, parse_head
from audit.checks import verified
from audit.integrity import Examination, examine


class Command(BaseCommand):
    """Check the audit log; exit status 1 when it was tampered with."""

    help = """Walks the audit log's hash chain and names the first breach: an entry that was edited,
deleted, reordered or inserted. A cut end shows only against a head that was kept
elsewhere: give it as --head. Changes nothing and may run beside work. The control
plane checks new entries by itself every ten seconds and all of them again and again
(GET /v1/admin/audit/status); --incremental goes on behind what it has checked.

Examples:
  audit_verify
  audit_verify --head 1234:9f86d081884c7d65...0f00a08      a head that was kept elsewhere
  audit_verify --incremental --json

Exit status: 0 the chain is whole; 1 it is not; 2 --head cannot be read."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return the parser, which leaves the help's lines as they are."""
        options["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to check against, how much, and how to tell."""
        parser.add_argument(
            "--head",
            "--expect-head",
            metavar="N:HASH",
            help="an entry's number and hash, as this command or the log told them earlier",
        )
        parser.add_argument(
            "--incremental",
            action="store_true",
            help="only entries behind the last one that the control plane has checked",
        )
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found."""
        start = verified() if options["incremental"] else START
        found = examine(start=start, head=_head(options["head"]))
        if options["json"]:
            self.stdout.write(json.dumps(_document(found)))
        if found.broken is not None:
            raise CommandError(f"{found.broken.kind}: {found.broken.message}", returncode=1)
        if not options["json"]:
            self.stdout.write(f"whole: {found.through.number} entries, head {found.through}")


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    try:
        return parse_head(text)
    except ValueError as error:
        raise CommandError(f"--head: {error}", returncode=2) from error


def _document(found: Examination) -> dict[str, Any]:
    return {
        "verified_through": found.through.number,
        "head": str(found.through) if found.through.number else None,
        "broken": found.broken._asdict() if found.broken else None,
    }
