"""Dead letters know their cause. Only adds: older processes may go on beside it.

Rows that are there, and those that older processes add, are given their cause by the keeper. In
one transaction, so that a start that is killed leaves nothing half done; while the indexes are
built (about a second for each million dead letters) tasks that die wait to be buried.
"""

from django.db import migrations, models

INDEXES = {
    "dead_letter_tenant": ("tenant_id", "buried_at"),
    "dead_letter_code": ("error_code", "buried_at"),
    "dead_letter_kind": ("kind", "buried_at"),
    "dead_letter_cause": ("fingerprint", "buried_at"),
    "dead_letter_count": ("fingerprint", "tenant_id", "job_id"),
}


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_storage_and_defaults")]

    operations = [
        migrations.AddField(
            "DeadLetter",
            "fingerprint",
            models.CharField(
                max_length=16,
                default="",
                db_default="",
                help_text="Of its cause; empty until a controller has filled it in.",
            ),
        ),
        *(
            migrations.AddIndex("DeadLetter", models.Index(fields=fields, name=name))
            for name, fields in INDEXES.items()
        ),
    ]
