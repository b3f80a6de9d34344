from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FirstLogin",
            fields=[
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 of its secret.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("expires_at", models.DateTimeField()),
            ],
            options={"db_table": "first_login"},
        ),
    ]
