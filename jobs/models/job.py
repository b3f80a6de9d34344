"""A job, the counters of its stages, its budget, and the answers kept for repeated submissions."""

from django.db import models
from django.db.models import Q

from jobs.states import JOB_ENDS, JobStatus, Reason


class Job(models.Model):
    """What was asked, under which policy revision, and where it stands."""

    uid = models.UUIDField(unique=True)
    generation = models.PositiveSmallIntegerField(default=1)
    tenant = models.ForeignKey("access.Tenant", on_delete=models.PROTECT)
    type = models.CharField(max_length=16)
    status = models.CharField(
        max_length=20, choices=[(status.value, status.value) for status in JobStatus]
    )
    reason = models.CharField(
        max_length=32, choices=[(reason.value, reason.value) for reason in Reason]
    )
    message = models.TextField(blank=True)
    priority = models.SmallIntegerField()
    policy_revision = models.ForeignKey("PolicyRevision", on_delete=models.PROTECT)
    pool = models.ForeignKey("Pool", on_delete=models.PROTECT)
    labels = models.JSONField(default=dict)
    input = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    plan = models.JSONField(
        default=dict, help_text="Hash, models and estimate of the plan that was accepted."
    )
    documents = models.PositiveIntegerField(default=0)
    total_tasks = models.PositiveIntegerField()
    max_parallelism = models.PositiveIntegerField(null=True)
    max_failed_percent = models.FloatField(null=True)
    limit_nano_usd = models.BigIntegerField(null=True)
    schedule_to_start_seconds = models.FloatField(null=True)
    start_to_close_seconds = models.FloatField()
    schedule_to_close_seconds = models.FloatField(null=True)
    deadline_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    suspended_at = models.DateTimeField(null=True)
    failed_reason = models.CharField(
        max_length=32, null=True, help_text="Why the job has to fail although tasks were left."
    )
    reason_checked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "job"
        constraints = [
            models.CheckConstraint(
                name="job_finished_iff_ended",
                condition=Q(status__in=sorted(JOB_ENDS), finished_at__isnull=False)
                | (~Q(status__in=sorted(JOB_ENDS)) & Q(finished_at__isnull=True)),
            ),
        ]
        indexes = [
            # GET /v1/jobs of a tenant, newest first.
            models.Index(fields=("tenant", "-id"), name="job_tenant_newest"),
            # Controllers: open jobs by age and by deadline.
            models.Index(
                fields=("created_at",), name="job_open", condition=Q(finished_at__isnull=True)
            ),
            # Claims: the jobs of a pool that may not take all they could.
            models.Index(
                fields=("pool",),
                name="job_constrained",
                condition=Q(finished_at__isnull=True)
                & (
                    Q(max_parallelism__isnull=False)
                    | Q(suspended_at__isnull=False)
                    | Q(cancel_requested_at__isnull=False)
                    | Q(failed_reason__isnull=False)
                ),
            ),
            # Retention.
            models.Index(
                fields=("finished_at",), name="job_ended", condition=Q(finished_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"job-{self.pk}"


class JobStage(models.Model):
    """The hot counters of one stage of a job, written only together with the tasks they count.

    ``open`` counts tasks that have not ended, blocked ones included. Running tasks are counted
    by the job's leases, so that neither claim nor heartbeat writes here.
    """

    pk = models.CompositePrimaryKey("job_id", "stage")
    job_id = models.BigIntegerField()
    stage = models.SmallIntegerField()
    name = models.CharField(max_length=63)
    planned_min = models.PositiveIntegerField()
    planned_max = models.PositiveIntegerField()
    open = models.IntegerField()
    blocked = models.IntegerField()
    succeeded = models.IntegerField(default=0)
    dead_lettered = models.IntegerField(default=0)
    cancelled = models.IntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        db_table = "job_stage"
        constraints = [
            models.CheckConstraint(
                name="job_stage_counts",
                condition=Q(open__gte=0, blocked__gte=0, succeeded__gte=0, dead_lettered__gte=0)
                & Q(cancelled__gte=0, blocked__lte=models.F("open")),
            )
        ]


class Budget(models.Model):
    """What a job may spend: one row, so that the CHECK holds under any interleaving (nano-USD)."""

    job_id = models.BigIntegerField(primary_key=True)
    limit_nano_usd = models.BigIntegerField()
    task_ceiling_nano_usd = models.BigIntegerField(
        help_text="The dearest of the job's tasks: claims leave room for whole tasks only."
    )
    reserved_nano_usd = models.BigIntegerField(default=0)
    settled_nano_usd = models.BigIntegerField(default=0)
    overrun_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        db_table = "budget"
        constraints = [
            models.CheckConstraint(
                name="budget_kept",
                condition=Q(reserved_nano_usd__gte=0, settled_nano_usd__gte=0)
                & Q(
                    limit_nano_usd__gte=models.F("reserved_nano_usd") + models.F("settled_nano_usd")
                ),
            )
        ]


class IdempotencyRecord(models.Model):
    """The answer to a request that bore an Idempotency-Key, kept for 24 hours."""

    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant_id = models.IntegerField()
    key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    job_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "idempotency_record"
        indexes = [models.Index(fields=("created_at",), name="idempotency_age")]


class RecordedAnswer(models.Model):
    """The answer to an operator's request that bore an Idempotency-Key, kept for 24 hours."""

    pk = models.CompositePrimaryKey("actor", "key")
    actor = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    answer = models.TextField(help_text="JSON text.")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "recorded_answer"
        indexes = [models.Index(fields=("created_at",), name="recorded_answer_age")]


class RequeueWindow(models.Model):
    """How many requeues were let through in the latest minute (of Unix time): one row."""

    id = models.SmallIntegerField(primary_key=True)
    minute = models.BigIntegerField()
    used = models.PositiveIntegerField()

    class Meta:
        db_table = "requeue_window"
