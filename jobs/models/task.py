"""Tasks, the queue of those that are ready, and the leases on those that run."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from jobs.states import TASK_ENDS, EdgeKind, TaskStatus


class Task(models.Model):
    """One unit of a job: of lease, failure, retry, result and cost. ``id`` is ``job << 20 | n``.

    No index but the key, and no partial index that names a column which changes: every update
    stays heap-only.
    """

    id = models.BigIntegerField(primary_key=True)
    job_id = models.BigIntegerField()
    tenant_id = models.IntegerField()
    pool_id = models.IntegerField()
    priority = models.SmallIntegerField()
    capability_id = models.IntegerField()
    stage = models.SmallIntegerField()
    kind = models.CharField(max_length=63)
    status = models.CharField(max_length=16)
    generation = models.PositiveSmallIntegerField(default=1)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField()
    epoch = models.IntegerField(default=0)
    owner = models.BigIntegerField(null=True)
    waiting = models.IntegerField(default=0, help_text="Parents that have not ended.")
    fanout = models.IntegerField(default=0, help_text="Dependents.")
    expected_tokens = models.IntegerField(default=0)
    ceiling_nano_usd = models.BigIntegerField(default=0, help_text="-1 without a ceiling.")
    # Weights of policies.isolation, summed up.
    workers_lost = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    result = models.TextField(null=True, help_text="JSON text.")
    result_sha256 = models.CharField(max_length=64, null=True)
    error_code = models.CharField(max_length=63, null=True)
    error_message = models.TextField(null=True)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        db_table = "task"
        constraints = [
            models.CheckConstraint(
                name="task_owned_iff_running",
                condition=Q(status=TaskStatus.RUNNING, owner__isnull=False)
                | (~Q(status=TaskStatus.RUNNING) & Q(owner__isnull=True)),
            ),
            models.CheckConstraint(
                name="task_finished_iff_ended",
                condition=Q(status__in=sorted(TASK_ENDS), finished_at__isnull=False)
                | (~Q(status__in=sorted(TASK_ENDS)) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="task_attempts_bounded",
                condition=Q(attempt__gte=0, attempt__lte=F("max_attempts"), waiting__gte=0),
            ),
            models.CheckConstraint(
                name="task_blocked_iff_waiting",
                condition=Q(status=TaskStatus.BLOCKED, waiting__gt=0)
                | ~Q(status=TaskStatus.BLOCKED) & (Q(waiting=0) | Q(status=TaskStatus.CANCELLED)),
            ),
        ]


class TaskInput(models.Model):
    """What a task works on; written once, read by claims and pages, never updated."""

    task_id = models.BigIntegerField(primary_key=True)
    job_id = models.BigIntegerField()
    name = models.CharField(max_length=255)
    model = models.CharField(max_length=200, blank=True)
    parameters = models.TextField(help_text="JSON object text.")
    input = models.TextField(help_text="JSON text.")
    spawned_by = models.BigIntegerField(null=True)

    class Meta:
        db_table = "task_input"
        constraints = [
            # A task that is run again cannot spawn the same task twice.
            models.UniqueConstraint(
                fields=("job_id", "name"),
                name="task_spawned_once",
                condition=Q(spawned_by__isnull=False),
            )
        ]


class Ready(models.Model):
    """The queue: a row per task that may be claimed now. Inserted and deleted, nothing else."""

    pk = models.CompositePrimaryKey("pool_id", "capability_id", "priority", "tenant_id", "task_id")
    pool_id = models.IntegerField()
    capability_id = models.IntegerField()
    priority = models.SmallIntegerField()
    tenant_id = models.IntegerField()
    task_id = models.BigIntegerField()

    class Meta:
        db_table = "ready"


class Delayed(models.Model):
    """A queued task that backs off; the ticketer moves it to ``ready`` when its time has come."""

    task_id = models.BigIntegerField(primary_key=True)
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "delayed"


class Edge(models.Model):
    """A dependency: the child waits for the parent's success (needs) or end (collects)."""

    pk = models.CompositePrimaryKey("parent_id", "child_id")
    parent_id = models.BigIntegerField()
    child_id = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in EdgeKind])

    class Meta:
        db_table = "edge"
        indexes = [models.Index(fields=("child_id", "parent_id"), name="edge_parents")]


class Lease(models.Model):
    """One worker's right to settle the tasks of one job it claimed together, until a deadline.

    The deadline is here and not on the task, so that a heartbeat renews one row per claim. The
    fence (owner and epoch) is on the task.
    """

    owner = models.BigIntegerField()
    job_id = models.BigIntegerField()
    tenant_id = models.IntegerField()
    pool_id = models.IntegerField()
    granted_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    close_at = models.DateTimeField(help_text="Start-to-close: no heartbeat extends beyond it.")
    task_ids = ArrayField(models.BigIntegerField())

    class Meta:
        db_table = "lease"
        indexes = [
            models.Index(fields=("owner",), name="lease_owner"),
            models.Index(fields=("job_id",), name="lease_job"),
        ]


class DeadLetter(models.Model):
    """A task whose attempts are used up, or that can never succeed; waits for a person."""

    task_id = models.BigIntegerField(primary_key=True)
    job_id = models.BigIntegerField()
    tenant_id = models.IntegerField()
    kind = models.CharField(max_length=63)
    error_code = models.CharField(max_length=63)
    error_message = models.TextField()
    fingerprint = models.CharField(
        max_length=16,
        default="",
        db_default="",
        help_text="Of its cause; empty until a controller has filled it in.",
    )
    buried_at = models.DateTimeField()

    class Meta:
        db_table = "dead_letter"
        # Each filter's rows in their order; pages and causes never scan the table.
        indexes = [
            models.Index(fields=("-buried_at",), name="dead_letter_newest"),
            models.Index(fields=("job_id",), name="dead_letter_job"),
            models.Index(fields=("tenant_id", "buried_at"), name="dead_letter_tenant"),
            models.Index(fields=("error_code", "buried_at"), name="dead_letter_code"),
            models.Index(fields=("kind", "buried_at"), name="dead_letter_kind"),
            models.Index(fields=("fingerprint", "buried_at"), name="dead_letter_cause"),
            # Causes are counted from this one alone.
            models.Index(fields=("fingerprint", "tenant_id", "job_id"), name="dead_letter_count"),
        ]
