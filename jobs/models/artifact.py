"""Blobs in chunks, addressed by tenant and content, and the files users see."""

from django.db import models


class Artifact(models.Model):
    """A stored blob. Same tenant and content, same row."""

    pk = models.CompositePrimaryKey("tenant_id", "sha256")
    tenant_id = models.IntegerField()
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "artifact"


class ArtifactChunk(models.Model):
    """Up to 256 KiB of a blob."""

    pk = models.CompositePrimaryKey("tenant_id", "sha256", "number")
    tenant_id = models.IntegerField()
    sha256 = models.CharField(max_length=64)
    number = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "artifact_chunk"


class File(models.Model):
    """A file that a tenant uploaded, or that a job wrote for it."""

    uid = models.UUIDField(unique=True)
    tenant = models.ForeignKey("access.Tenant", on_delete=models.PROTECT)
    name = models.CharField(max_length=255)
    purpose = models.CharField(max_length=32)
    media_type = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "file"
        indexes = [models.Index(fields=("tenant", "-id"), name="file_tenant_newest")]
