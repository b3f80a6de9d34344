"""``manage.py create_token``: make a token and print it, once."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from access.actions.tokens import NewToken, TokenWish, create_token
from access.command_line import OperatorCommand, command_origin, refusals_told, shell_actor
from access.queries import token_document, unknown_tenants
from access.scopes import KNOWN_SCOPES

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])", re.ASCII)


class Command(OperatorCommand):
    help = f"""Makes a token for callers or agents and prints it to standard output, once. The
fabric keeps its SHA-256 only: a lost token is replaced, never recovered. It is good
at once, in every process, until it expires or `revoke_token` takes it back. What was
made, for what and by whom goes into the audit log; the token does not.

Scopes: {KNOWN_SCOPES}
  metrics          read the metrics
  operator         read all tenants' metadata, act as an operator
  tenant:<name>    submit, read and change this tenant's jobs and files
  tenant:*         the same for every tenant
  worker           be an agent; with tenant:<name>, one for that tenant's tasks alone

Examples:
  create_token ci-acme --scope tenant:acme --expires-in 90d
  create_token prometheus --scope metrics
  create_token gpu-agents --scope worker > /run/secrets/daef-agent

Exit status: 0 made; 2 refused: a field cannot be used, or the name was given before."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", help="what records and lists call it: small letters, digits, hyphens"
        )
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            default=[],
            metavar="SCOPE",
            help="what it allows; give the option once for each scope",
        )
        parser.add_argument("--description", default="", help="who has it and what for")
        end = parser.add_mutually_exclusive_group()
        end.add_argument(
            "--expires-in",
            type=_span,
            metavar="TIME",
            help="after this time: a number and m, h, d or w, for example 12h or 90d",
        )
        end.add_argument(
            "--expires-at",
            type=_moment,
            metavar="MOMENT",
            help="at this moment (RFC 3339); without either option it does not expire",
        )
        parser.add_argument(
            "--requests-per-minute",
            type=int,
            metavar="N",
            help="refuse more requests than this in a minute, all gateways together",
        )
        parser.add_argument("--reason", default="", help="why; goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        with refusals_told():
            made = create_token(
                TokenWish(
                    options["name"],
                    options["scopes"],
                    options["description"],
                    _expiry(options, now),
                    options["requests_per_minute"],
                ),
                actor=shell_actor(),
                now=now,
                origin=command_origin(options["reason"]),
            )
        if options["json"]:
            document = {"token": made.secret, **token_document(made.row, now=now)}
            self.print_json(document)
        else:
            self.stdout.write(made.secret)
            self.stderr.write(_told(made))
        for name in unknown_tenants(made.row.scopes):
            self.stderr.write(f"There is no tenant {name} yet; its first request makes it.")


def _told(made: NewToken) -> str:
    row = made.row
    end = f"until {row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else "until it is revoked"
    return f"{row.name} ({', '.join(row.scopes)}), good {end}. Keep it now: it is shown once."


def _expiry(options: dict[str, Any], now: datetime) -> datetime | None:
    if options["expires_in"] is not None:
        return now + options["expires_in"]
    moment: datetime | None = options["expires_at"]
    return moment


def _span(text: str) -> timedelta:
    match = SPAN.fullmatch(text)
    if match is None:
        raise ArgumentTypeError("use a number and m, h, d or w, for example 12h or 90d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _moment(text: str) -> datetime:
    """Read RFC 3339; a time without offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("use a time like 2026-01-31T08:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
