"""The audit log, and what refuses to change it."""

from django.db import migrations, models

# For each statement, so that one that matches no row is refused too, and for the table's owner
# and superusers as well. Whoever can switch triggers off is shown by the chain.
APPEND_ONLY = """
create function audit_entry_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only: % is refused', tg_op
        using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_entry_append_only before update or delete or truncate on audit_entry
    for each statement execute function audit_entry_refuse();
"""

CHANGEABLE = """
drop trigger audit_entry_append_only on audit_entry;
drop function audit_entry_refuse();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("happened_at", models.DateTimeField()),
                ("action", models.CharField(max_length=40)),
                ("result", models.CharField(max_length=10)),
                ("actor", models.CharField(max_length=100)),
                ("door", models.CharField(max_length=10)),
                ("tenant", models.CharField(max_length=63)),
                ("target", models.CharField(max_length=100)),
                ("reason", models.CharField(max_length=500)),
                ("address", models.CharField(max_length=64)),
                ("request_id", models.CharField(max_length=64)),
                ("details", models.TextField()),
                ("prev_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "db_table": "audit_entry",
                "indexes": [
                    models.Index(fields=["action", "number"], name="audit_by_action"),
                    models.Index(fields=["result", "number"], name="audit_by_result"),
                    models.Index(fields=["tenant", "number"], name="audit_by_tenant"),
                    models.Index(fields=["actor", "number"], name="audit_by_actor"),
                    models.Index(fields=["happened_at", "number"], name="audit_by_time"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="audit_from_one"
                    )
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
