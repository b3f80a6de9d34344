from django.apps import AppConfig


class QueueingConfig(AppConfig):
    """Tickets over RQ and Redis."""

    name = "queueing"
