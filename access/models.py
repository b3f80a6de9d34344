"""Tenants, who own jobs and quota; tokens; what was used of each one's rates."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from access.scopes import SCOPE_CHARACTERS


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


class ApiToken(models.Model):
    """A token that an operator gave out. Its row stays when it is revoked, so that its name does.

    Nothing of it but `revoked_at` and `last_used_at` ever changes.
    """

    name = models.CharField(max_length=63, unique=True)
    prefix = models.CharField(max_length=16, help_text="How the token begins; no secret.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    description = models.CharField(max_length=200, blank=True)
    scopes = ArrayField(models.CharField(max_length=SCOPE_CHARACTERS))
    requests_per_minute = models.PositiveIntegerField(
        null=True, help_text="Most requests a minute, all gateways together; empty for no limit."
    )
    created_by = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(
        null=True, help_text="To the minute: more often it is not written."
    )

    class Meta:
        db_table = "api_token"
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(requests_per_minute__isnull=True)
                | models.Q(requests_per_minute__gte=1),
                name="api_token_rate_from_one",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RequestWindow(models.Model):
    """How many requests with a token were let through in its latest minute (of Unix time)."""

    token_id = models.BigIntegerField(primary_key=True)
    minute = models.BigIntegerField()
    used = models.PositiveIntegerField()

    class Meta:
        db_table = "request_window"

    def __str__(self) -> str:
        return f"{self.used} requests in minute {self.minute}"


class LoginWindow(models.Model):
    """How often somebody tried to log in, as one name or from one address, in a minute."""

    subject = models.CharField(
        max_length=64, primary_key=True, help_text="SHA-256 of the name or address."
    )
    minute = models.BigIntegerField()
    used = models.PositiveIntegerField()

    class Meta:
        db_table = "login_window"

    def __str__(self) -> str:
        return f"{self.used} attempts in minute {self.minute}"


class FirstLogin(models.Model):
    """A link that logs the local operator in; it is deleted when it is used."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of its secret.")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "first_login"

    def __str__(self) -> str:
        return f"until {self.expires_at:%H:%M}"
