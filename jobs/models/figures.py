"""The fabric's figures: what was counted, added up, and kept by the minute."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Tally(models.Model):
    """What one transaction adds to the figures; inserted by it, taken away when added.

    See ``jobs.metrics`` for the names, and for what labels and amounts mean under each.
    """

    name = models.CharField(max_length=16)
    labels = ArrayField(models.TextField(null=True))
    amounts = ArrayField(models.BigIntegerField())
    happened_at = models.DateTimeField()

    class Meta:
        db_table = "tally"


class Figure(models.Model):
    """A sum that the metrics show: a sample's name and labels (sorted JSON), and what it is now."""

    pk = models.CompositePrimaryKey("name", "labels")
    name = models.CharField(max_length=120)
    labels = models.TextField()
    value = models.FloatField()

    class Meta:
        db_table = "figure"


class MinuteStats(models.Model):
    """Attempts that ended within a minute, by pool, class, outcome and error code ("" for none)."""

    pk = models.CompositePrimaryKey("minute", "pool_id", "priority", "outcome", "code")
    minute = models.DateTimeField()
    pool_id = models.IntegerField()
    priority = models.SmallIntegerField()
    outcome = models.CharField(max_length=16)
    code = models.CharField(max_length=63)
    attempts = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cost_nano_usd = models.BigIntegerField()

    class Meta:
        db_table = "minute_stats"


class MinuteLoad(models.Model):
    """The most that was queued and running within a minute, and the longest wait, as sampled."""

    pk = models.CompositePrimaryKey("minute", "pool_id", "priority")
    minute = models.DateTimeField()
    pool_id = models.IntegerField()
    priority = models.SmallIntegerField()
    queued = models.BigIntegerField()
    running = models.BigIntegerField()
    oldest_seconds = models.FloatField()

    class Meta:
        db_table = "minute_load"
