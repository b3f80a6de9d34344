"""Policies with their revisions, and the endpoints where models answer."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Policy(models.Model):
    """What jobs may use and spend. The content is in its revisions; a job pins one of them."""

    name = models.CharField(max_length=63, unique=True)
    current = models.ForeignKey(
        "PolicyRevision", null=True, on_delete=models.PROTECT, related_name="current_of"
    )

    class Meta:
        db_table = "policy"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class PolicyRevision(models.Model):
    """One immutable version of a policy; ``spec`` is a ``policies.policy.PolicySpec`` as JSON."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "policy_revision"
        constraints = [
            models.UniqueConstraint(fields=("policy", "number"), name="policy_revision_unique")
        ]

    def __str__(self) -> str:
        return f"{self.policy.name}@{self.number}"


class ModelEndpoint(models.Model):
    """Where models answer, for what price and within which limits. Keys stay with the agents."""

    class Backend(models.TextChoices):
        """How an agent reaches the models."""

        EMBEDDED = "embedded"
        OPENAI = "openai"

    name = models.CharField(max_length=63, unique=True)
    backend = models.CharField(max_length=16, choices=Backend.choices)
    base_url = models.CharField(max_length=500, blank=True)
    model_names = ArrayField(models.CharField(max_length=200))
    location = models.CharField(max_length=63, default="local")
    input_price = models.PositiveBigIntegerField(help_text="Micro-USD per million input tokens.")
    output_price = models.PositiveBigIntegerField(help_text="Micro-USD per million output tokens.")
    key_name = models.CharField(
        max_length=63, blank=True, help_text="The agents' key is in DAEF_MODEL_KEY_<this name>."
    )
    timeout_seconds = models.PositiveIntegerField(default=60)
    max_in_flight = models.PositiveIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    enabled = models.BooleanField(default=True)

    class Meta:
        db_table = "model_endpoint"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
