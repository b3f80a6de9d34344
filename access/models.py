"""Tenants: who owns jobs, quota and tokens."""

from django.db import models


class Tenant(models.Model):
    """An owner of jobs, made on first use or by an operator; its id is in the hot tables' keys."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=63, unique=True)
    weight = models.PositiveIntegerField(
        default=100, help_text="Share of the fabric in hundredths: 200 gets twice what 100 gets."
    )
    max_running_tasks = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Most tasks running at once in each pool; empty for no limit.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tenant"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SubmitWindow(models.Model):
    """How many submissions of a tenant were let through in its latest minute (of Unix time)."""

    tenant_id = models.IntegerField(primary_key=True)
    minute = models.BigIntegerField()
    used = models.PositiveIntegerField()

    class Meta:
        db_table = "submit_window"

    def __str__(self) -> str:
        return f"{self.used} submissions in minute {self.minute}"


class FirstLogin(models.Model):
    """A link that logs the local operator in; it is deleted when it is used."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of its secret.")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "first_login"

    def __str__(self) -> str:
        return f"until {self.expires_at:%H:%M}"
