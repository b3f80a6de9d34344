from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Jobs, tasks, leases: the fabric's domain."""

    name = "jobs"
