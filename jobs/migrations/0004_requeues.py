"""What bounds requeues, and their answers for repeated requests."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_dead_letter_causes")]

    operations = [
        migrations.CreateModel(
            name="RequeueWindow",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("minute", models.BigIntegerField()),
                ("used", models.PositiveIntegerField()),
            ],
            options={"db_table": "requeue_window"},
        ),
        migrations.CreateModel(
            name="RecordedAnswer",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "actor",
                        "key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("actor", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=255)),
                ("request_sha256", models.CharField(max_length=64)),
                ("answer", models.TextField(help_text="JSON text.")),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "recorded_answer",
                "indexes": [models.Index(fields=["created_at"], name="recorded_answer_age")],
            },
        ),
    ]
