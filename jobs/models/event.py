"""What happened to a job: one row per transaction that changed it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from jobs.states import EventKind

ACTOR_CHARACTERS = 100
"""Longest name in an event; workers' names are cut to it when they register."""


class JobEvent(models.Model):
    """One change of a job. ``task_ids`` are those it touched; ``details`` holds counts."""

    job_id = models.BigIntegerField()
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in EventKind])
    happened_at = models.DateTimeField()
    actor = models.CharField(max_length=ACTOR_CHARACTERS, blank=True)
    task_ids = ArrayField(models.BigIntegerField(), default=list)
    details = models.JSONField(default=dict)

    class Meta:
        db_table = "job_event"
        indexes = [models.Index(fields=("job_id", "id"), name="job_event_order")]
