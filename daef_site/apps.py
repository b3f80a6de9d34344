from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The composition root; an app so that its commands are found."""

    name = "daef_site"
    verbose_name = "DAEF"
