"""What tells a database that was restored from a backup from the one the backup was taken of."""

from django.db import models


class StoreIdentity(models.Model):
    """One row: which database this was when a control plane last looked.

    ``facts`` are PostgreSQL's own names for it: cluster, database, tables, write-ahead timeline.
    A restored copy brings this row along and finds other facts.
    """

    facts = models.JSONField()
    restores = models.PositiveIntegerField(default=0)
    noticed_at = models.DateTimeField()

    class Meta:
        db_table = "store_identity"
