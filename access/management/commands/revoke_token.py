"""``manage.py revoke_token``: take a token back."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from access.actions.tokens import revoke_token
from access.command_line import OperatorCommand, command_origin, refusals_told, shell_actor
from access.queries import token_document


class Command(OperatorCommand):
    help = """Takes a token back: its next request is refused, in every process. Requests that
run at this moment end as they would have. An agent that works with it gets no more
tasks and can settle none; what it holds is queued again when its leases run out.
Revoking it again changes nothing. Tokens of DAEF_API_TOKENS are not revoked here:
take them out of the variable and restart.

Examples:
  revoke_token ci-acme --reason 'left the project'
  revoke_token daef_3kQ9aZ        by its beginning, as lists and records show it

Exit status: 0 it is revoked; 2 there is no such token."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("token", help="its name, its beginning, or the token itself")
        parser.add_argument("--reason", default="", help="why; goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        with refusals_told():
            token = revoke_token(
                options["token"],
                actor=shell_actor(),
                now=now,
                origin=command_origin(options["reason"]),
            )
        if options["json"]:
            self.print_json(token_document(token, now=now))
        else:
            self.stdout.write(
                f"{token.name} is revoked since {token.revoked_at:%Y-%m-%d %H:%M} UTC"
            )
