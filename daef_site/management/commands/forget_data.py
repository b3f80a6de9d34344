import shutil
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from daef_site import fabric, ground, infra


class Command(BaseCommand):
    help = "Stop infra_up's servers and remove the data folder with all that belongs to it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        data = settings.DAEF_DATA_DIR
        if running := fabric.living(data):
            raise CommandError(f"a fabric runs in {data} (pid {running.pid}); stop it first.")
        infra.down(data)
        for folder in (data, infra.folder(data)):
            ground.forget(folder)
        ground.forget_binaries()
        shutil.rmtree(data, ignore_errors=True)
