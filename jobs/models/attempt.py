"""What is written once when a lease share ends: the attempt, what its model calls used, its log."""

from django.db import models

from jobs.states import AttemptOutcome


class Attempt(models.Model):
    """The record of one ended lease share of a task; keyed by the share, so never written twice."""

    pk = models.CompositePrimaryKey("task_id", "epoch")
    task_id = models.BigIntegerField()
    epoch = models.IntegerField()
    generation = models.PositiveSmallIntegerField()
    number = models.PositiveSmallIntegerField()
    owner = models.BigIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    outcome = models.CharField(
        max_length=16, choices=[(outcome.value, outcome.value) for outcome in AttemptOutcome]
    )
    error_code = models.CharField(max_length=63, null=True)
    error_message = models.TextField(null=True)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        db_table = "attempt"


class UsageEntry(models.Model):
    """One model call in the ledger; append-only, unique per share and call (nano-USD)."""

    pk = models.CompositePrimaryKey("task_id", "epoch", "call")
    task_id = models.BigIntegerField()
    epoch = models.IntegerField()
    call = models.IntegerField()
    tenant_id = models.IntegerField()
    endpoint = models.CharField(max_length=63)
    model = models.CharField(max_length=200)
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cost_nano_usd = models.BigIntegerField()
    wasted = models.BooleanField(
        default=False, help_text="Paid for, but its result was fenced off."
    )
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "usage_entry"


class TaskLog(models.Model):
    """One line that an executor wrote for the task's page."""

    task_id = models.BigIntegerField()
    epoch = models.IntegerField()
    written_at = models.DateTimeField()
    text = models.CharField(max_length=500)

    class Meta:
        db_table = "task_log"
        indexes = [models.Index(fields=("task_id", "id"), name="task_log_order")]
