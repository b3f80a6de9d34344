"""What ``manage.py`` commands that act for an operator share: who acts, and how they end."""

from __future__ import annotations

import getpass
import json
import os
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from access.actors import ANY_TENANT, METRICS, OPERATOR, Actor
from access.errors import AccessError
from audit.events import Door, Origin

REFUSED_STATUS: Final = 2
"""Exit status of a command that was refused: what was asked for cannot be done as it was asked."""


class OperatorCommand(BaseCommand):
    """A command whose help is laid out by hand, and which takes ``--json``."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return the parser, which leaves the help's lines as they are."""
        options["formatter_class"] = RawDescriptionHelpFormatter
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        return parser

    def print_json(self, document: Mapping[str, Any]) -> None:
        """Print a document in one line."""
        self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder))


def shell_actor() -> Actor:
    """Return who runs this process, as the operating system knows them: ``shell:alice``.

    Whoever can run commands with the fabric's settings can read its database, so they may do what
    operators may.
    """
    return Actor(f"shell:{_login_name()}", frozenset({OPERATOR, METRICS, ANY_TENANT}))


def command_origin(reason: str = "") -> Origin:
    """Return how a command came in, for the audit log."""
    return Origin(Door.COMMAND, reason=reason)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Turn a refusal into one line that names the field and the remedy, and exit status 2."""
    try:
        yield
    except AccessError as error:
        raise CommandError(str(error), returncode=REFUSED_STATUS) from error


def _login_name() -> str:
    """The account of the process: variables such as USER could say anything."""
    try:
        import pwd
    except ImportError:
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
