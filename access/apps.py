from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Tenants, tokens and scopes."""

    name = "access"
