"""``manage.py list_tokens``: the tokens that were made, and which of them are good."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.utils import timezone

from access.command_line import OperatorCommand
from access.queries import list_tokens

MOST = 1000


class Command(OperatorCommand):
    help = (
        "Lists the tokens that create_token made, by name: how each begins, whether it is active, "
        "expired or revoked, its scopes, and when it was last used (to the minute). Never a token "
        "itself. Tokens of DAEF_API_TOKENS are not among them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=MOST, help=f"most rows (1 to {MOST})")
        parser.add_argument("--offset", type=int, default=0, help="how many to leave out before")

    def handle(self, *args: Any, **options: Any) -> None:
        limit, offset = min(max(options["limit"], 1), MOST), max(options["offset"], 0)
        page = list_tokens(now=timezone.now(), limit=limit, offset=offset)
        if options["json"]:
            self.print_json(page)
            return
        for token in page["items"]:
            used, scopes = _used(token["last_used_at"]), ",".join(token["scopes"])
            self.stdout.write(
                f"{token['name']:<24} {token['prefix']}…  {token['state']:<8} {used:<22} {scopes}"
            )
        if not page["total"]:
            self.stdout.write("No token was made yet; see `python manage.py create_token --help`.")


def _used(moment: datetime | None) -> str:
    return f"used {moment:%Y-%m-%d %H:%M}" if moment else "never used"
