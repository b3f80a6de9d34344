"""The audit log: one row per action of an operator, each linked to the one before."""

from django.db import models

ACTOR_CHARACTERS = 100
TENANT_CHARACTERS = 63
TARGET_CHARACTERS = 100
REASON_CHARACTERS = 500
ADDRESS_CHARACTERS = 64
REQUEST_ID_CHARACTERS = 64
DIGEST_CHARACTERS = 64
"""A SHA-256 in lower-case hexadecimal digits."""


class AuditEntry(models.Model):
    """One entry of the chain; the database refuses to change or remove it.

    ``number`` counts from 1 without gaps. ``details`` is canonical JSON text. ``hash`` covers
    every other column, ``prev_hash`` is the ``hash`` of the entry before.
    """

    number = models.BigIntegerField(primary_key=True)
    happened_at = models.DateTimeField()
    action = models.CharField(max_length=40)
    result = models.CharField(max_length=10)
    actor = models.CharField(max_length=ACTOR_CHARACTERS)
    door = models.CharField(max_length=10)
    tenant = models.CharField(max_length=TENANT_CHARACTERS)
    target = models.CharField(max_length=TARGET_CHARACTERS)
    reason = models.CharField(max_length=REASON_CHARACTERS)
    address = models.CharField(max_length=ADDRESS_CHARACTERS)
    request_id = models.CharField(max_length=REQUEST_ID_CHARACTERS)
    details = models.TextField()
    prev_hash = models.CharField(max_length=DIGEST_CHARACTERS)
    hash = models.CharField(max_length=DIGEST_CHARACTERS)

    class Meta:
        db_table = "audit_entry"
        # Numbers rise with time, so that each filter's newest entries are the end of its index.
        indexes = [
            models.Index(fields=("action", "number"), name="audit_by_action"),
            models.Index(fields=("result", "number"), name="audit_by_result"),
            models.Index(fields=("tenant", "number"), name="audit_by_tenant"),
            models.Index(fields=("actor", "number"), name="audit_by_actor"),
            models.Index(fields=("happened_at", "number"), name="audit_by_time"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gte=1), name="audit_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.action} {self.result} {self.target}"


class AuditCheck(models.Model):
    """How far the log was checked by itself: one row, which only the checks write.

    ``through`` is the newest entry that was checked when it was new. ``walked`` is how far the
    walk has come that looks at all entries again and again; ``walked_at`` is when it last came to
    their end. ``broken_entry`` and ``broken_kind`` are set while something is amiss.
    """

    id = models.SmallIntegerField(primary_key=True)
    through = models.BigIntegerField(default=0)
    through_hash = models.CharField(max_length=DIGEST_CHARACTERS)
    verified_at = models.DateTimeField(null=True)
    walked = models.BigIntegerField(default=0)
    walked_hash = models.CharField(max_length=DIGEST_CHARACTERS)
    walked_at = models.DateTimeField(null=True)
    broken_entry = models.BigIntegerField(null=True)
    broken_kind = models.CharField(max_length=10, null=True)

    class Meta:
        db_table = "audit_check"

    def __str__(self) -> str:
        return f"verified through {self.through}"
