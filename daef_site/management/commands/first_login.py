from typing import Any

from django.core.management.base import BaseCommand, CommandError

from daef_site.first_login import loopback_address, new_link


class Command(BaseCommand):
    help = (
        "Prints a link that logs the local operator into the console once, within an hour. Only "
        "for a gateway that listens on loopback; it has to run."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        address = loopback_address()
        if address is None:
            raise CommandError(
                "Other machines can reach this gateway (DAEF_HTTP_ADDR, DAEF_HTTPS); one-time "
                "links work on loopback only. Make a user with `manage.py createsuperuser` instead."
            )
        self.stdout.write(new_link(address))
