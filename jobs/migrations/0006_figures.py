"""The figures' tables; the `figures` loop counts what was there before."""

import django.contrib.postgres.fields
import django.db.models.fields.composite
from django.db import migrations, models

# Tallies live for a second. Sums are written every second and stay on their page.
STORAGE = """
alter table tally set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
alter table figure set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
alter table minute_stats set (fillfactor = 70);
alter table minute_load set (fillfactor = 70);
"""


class Migration(migrations.Migration):
    reviewed = "The SQL sets how tables are stored that this migration makes."
    dependencies = [
        ("jobs", "0005_store_identity"),
    ]

    operations = [
        migrations.CreateModel(
            name="Figure",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "name",
                        "labels",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("labels", models.TextField()),
                ("value", models.FloatField()),
            ],
            options={
                "db_table": "figure",
            },
        ),
        migrations.CreateModel(
            name="MinuteLoad",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute",
                        "pool_id",
                        "priority",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("pool_id", models.IntegerField()),
                ("priority", models.SmallIntegerField()),
                ("queued", models.BigIntegerField()),
                ("running", models.BigIntegerField()),
                ("oldest_seconds", models.FloatField()),
            ],
            options={
                "db_table": "minute_load",
            },
        ),
        migrations.CreateModel(
            name="MinuteStats",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute",
                        "pool_id",
                        "priority",
                        "outcome",
                        "code",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("pool_id", models.IntegerField()),
                ("priority", models.SmallIntegerField()),
                ("outcome", models.CharField(max_length=16)),
                ("code", models.CharField(max_length=63)),
                ("attempts", models.BigIntegerField()),
                ("input_tokens", models.BigIntegerField()),
                ("output_tokens", models.BigIntegerField()),
                ("cost_nano_usd", models.BigIntegerField()),
            ],
            options={
                "db_table": "minute_stats",
            },
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=16)),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(null=True), size=None
                    ),
                ),
                (
                    "amounts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                ("happened_at", models.DateTimeField()),
            ],
            options={
                "db_table": "tally",
            },
        ),
        migrations.AddField(
            model_name="worker",
            name="tickets_taken",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]
