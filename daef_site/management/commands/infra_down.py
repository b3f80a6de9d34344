from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from daef_site import infra


class Command(BaseCommand):
    help = "Stop what infra_up started; the data stays."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        infra.down(settings.DAEF_DATA_DIR)
