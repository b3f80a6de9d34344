"""Pools of interchangeable agents, what tasks ask of an agent, and who was served how much."""

from django.db import models


class Pool(models.Model):
    """A set of agents that can stand in for each other; an agent is in exactly one."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=63, unique=True)
    max_running_tasks = models.PositiveIntegerField(null=True, blank=True)
    interactive_bound_seconds = models.PositiveIntegerField(default=30)
    standard_bound_seconds = models.PositiveIntegerField(default=600)
    batch_bound_seconds = models.PositiveIntegerField(default=21_600)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "pool"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Capability(models.Model):
    """What a task asks of an agent: an executor kind and, where it calls one, a model.

    Interned, so that the queue's key carries one small number instead of two names and a claim
    looks only at what the claiming agent can run.
    """

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=63)
    model = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "capability"
        constraints = [models.UniqueConstraint(fields=("kind", "model"), name="capability_unique")]

    def __str__(self) -> str:
        return f"{self.kind} {self.model}".strip()


class ServedTime(models.Model):
    """How many expected tokens a tenant was given in a pool and class (fair queueing)."""

    pk = models.CompositePrimaryKey("pool_id", "priority", "tenant_id")
    pool_id = models.IntegerField()
    priority = models.SmallIntegerField()
    tenant_id = models.IntegerField()
    served = models.FloatField(default=0)

    class Meta:
        db_table = "served_time"
