"""How far the audit log was checked by itself."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AuditCheck",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("through", models.BigIntegerField(default=0)),
                ("through_hash", models.CharField(max_length=64)),
                ("verified_at", models.DateTimeField(null=True)),
                ("walked", models.BigIntegerField(default=0)),
                ("walked_hash", models.CharField(max_length=64)),
                ("walked_at", models.DateTimeField(null=True)),
                ("broken_entry", models.BigIntegerField(null=True)),
                ("broken_kind", models.CharField(max_length=10, null=True)),
            ],
            options={"db_table": "audit_check"},
        ),
    ]
