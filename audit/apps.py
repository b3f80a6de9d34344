from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record of what operators did."""

    name = "audit"
