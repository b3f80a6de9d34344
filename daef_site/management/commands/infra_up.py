from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from daef_site import infra
from daef_site.management.commands.gateway import FAILURES


class Command(BaseCommand):
    help = "PostgreSQL on 127.0.0.1:5432 and Redis on 127.0.0.1:6379, detached, data kept."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            infra.up(settings.DAEF_DATA_DIR)
        except FAILURES as error:
            raise CommandError(str(error)) from error
