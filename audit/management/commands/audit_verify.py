"""``manage.py audit_verify``: walk the audit log's chain and name the first thing amiss."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.chain import Head, parse_head
from audit.integrity import Examination, examine


class Command(BaseCommand):
    """Check the audit log; exit status 1 when it was tampered with."""

    help = (
        "Walks the audit log's hash chain and names the first breach: an entry that was edited, "
        "deleted, reordered or inserted. A cut end shows only against a head that was kept "
        "elsewhere: give it as --head. Changes nothing, may run beside work. Exit status 0: the "
        "chain is whole; 1: it is not; 2: --head cannot be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The two options."""
        parser.add_argument(
            "--head",
            metavar="N:HASH",
            help="an entry's number and hash, as this command or the log told them earlier",
        )
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found."""
        found = examine(head=_head(options["head"]))
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
