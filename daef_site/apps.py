"""The composition root as Django apps: its commands, and the console."""

import os

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

import faultpoints
from daef_site import env


class SiteConfig(AppConfig):
    """The composition root; an app so that its commands are found."""

    name = "daef_site"
    verbose_name = "DAEF"

    def ready(self) -> None:
        """Register the checks; arm this process for fault tests. Raises BadSetting outside."""
        from django.conf import settings

        from daef_site import checks  # noqa: F401 (registers them; needs the applications)

        try:
            faultpoints.arm(os.environ, settings.DAEF_DATA_DIR)
        except faultpoints.BadFaults as error:
            raise env.BadSetting("DAEF_FAULTS", str(error)) from error


class ConsoleConfig(AdminConfig):
    """Django's admin, with our site in the place of its own."""

    default = False
    default_site = "daef_site.console.ConsoleSite"
