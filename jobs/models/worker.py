"""Workers: one row per incarnation of an agent process."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from jobs.states import WorkerState


class Worker(models.Model):
    """One process start of an agent. Its id owns leases; a restarted agent is a new row."""

    incarnation = models.UUIDField(unique=True)
    token_fingerprint = models.CharField(
        max_length=64,
        help_text="SHA-256 of the token that registered it; no other may speak for it.",
    )
    tenant = models.ForeignKey(
        "access.Tenant",
        null=True,
        on_delete=models.PROTECT,
        help_text="Set when its token may work for one tenant only.",
    )
    name = models.CharField(max_length=200)
    node = models.CharField(max_length=200)
    pool = models.ForeignKey("Pool", on_delete=models.PROTECT)
    slots = models.PositiveIntegerField()
    free_slots = models.PositiveIntegerField(default=0)
    kinds = ArrayField(models.CharField(max_length=63))
    model_names = ArrayField(models.CharField(max_length=200))
    version = models.CharField(max_length=63)
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in WorkerState],
        default=WorkerState.ACTIVE,
    )
    registered_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField()
    tickets_taken = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "worker"
        indexes = [
            # The fleet as claims, tickets and explanations see it.
            models.Index(fields=("pool", "state", "heartbeat_at"), name="worker_live")
        ]

    def __str__(self) -> str:
        return self.name
