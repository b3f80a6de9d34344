"""How the hot tables are stored, and what a new fabric starts with."""

from django.db import migrations

# Room on each page lets updates stay heap-only (measured: 85 % at fillfactor 50). The queue is
# all inserts and deletes: its dead rows are swept early.
STORAGE = """
alter table task set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
alter table job_stage set (fillfactor = 40);
alter table lease set (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);
alter table ready set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
alter table served_time set (fillfactor = 50);
alter table worker set (fillfactor = 60);
alter table artifact_chunk alter column data set storage external;
"""

# Example prices in micro-USD per million tokens, so that cost is never a meaningless zero: about
# what small hosted models cost. Operators change them to what their electricity costs.
ENDPOINTS = (
    ("embedded-chat", ["smollm2-135m"], 20_000, 80_000),
    ("embedded-embedding", ["minilm-l6-v2"], 5_000, 0),
)

ENTERPRISE_DEFAULT = {
    "pool": "default",
    "chat_model": "smollm2-135m",
    "embedding_model": "minilm-l6-v2",
    "limit_usd": 10.0,
    "start_to_close_seconds": 300.0,
    "schedule_to_close_seconds": 86400.0,
}


def start_with_defaults(apps, schema_editor):
    """The pool ``default``, the policy ``enterprise-default`` and the embedded models."""
    apps.get_model("jobs", "Pool").objects.get_or_create(name="default")
    policy = apps.get_model("jobs", "Policy").objects.create(name="enterprise-default")
    policy.current = apps.get_model("jobs", "PolicyRevision").objects.create(
        policy=policy, number=1, spec=ENTERPRISE_DEFAULT
    )
    policy.save()
    for name, models, input_price, output_price in ENDPOINTS:
        apps.get_model("jobs", "ModelEndpoint").objects.create(
            name=name,
            backend="embedded",
            model_names=models,
            input_price=input_price,
            output_price=output_price,
        )


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunPython(start_with_defaults, migrations.RunPython.noop),
    ]
