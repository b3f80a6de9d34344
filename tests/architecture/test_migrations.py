"""Migrations are applied while the version before serves: they add, and make nobody wait.

`docs/architecture/upgrades.md` has the rules. What was there before them is in `BEFORE_THE_RULES`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

OURS = ("access", "audit", "jobs", "queueing")
BEFORE_THE_RULES = {
    "access.0001_initial",
    "access.0002_first_login",
    "access.0003_tokens",
    "access.0004_login_window",
    "audit.0001_initial",
    "jobs.0001_initial",
    "jobs.0002_storage_and_defaults",
    "jobs.0003_dead_letter_causes",
    "jobs.0004_requeues",
    "jobs.0005_store_identity",
}
"""All of 0.1.0: nothing older serves meanwhile. Never add to it once that is released."""

CONTRACT = re.compile(r"\d{4}_contract_\d+_\d+_\w+")
CONCURRENT = (AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint)
TAKES_AWAY = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.DeleteModel,
    migrations.AlterModelTable,
)
BUILDS_AT_ONCE = (
    migrations.AlterUniqueTogether,
    migrations.AlterIndexTogether,
    migrations.AlterOrderWithRespectTo,
)
UNSEEN = (
    migrations.RunSQL,
    migrations.RunPython,
    migrations.SeparateDatabaseAndState,
    migrations.AlterField,
)


def dangers(migration: migrations.Migration) -> Iterator[str]:
    """What in a migration would disturb those who work meanwhile."""
    new = {op.name.lower() for op in migration.operations if isinstance(op, migrations.CreateModel)}
    reviewed = bool(getattr(migration, "reviewed", ""))
    for operation in migration.operations:
        if _table(operation) in new:
            continue
        if isinstance(operation, TAKES_AWAY) and not CONTRACT.fullmatch(migration.name):
            yield "takes away what the version before uses: name it NNNN_contract_<version>_…"
        if not reviewed:
            yield from _waits(operation)
    yield from _mixed(migration)


def _table(operation: Operation) -> str:
    name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
    return str(name).lower()


def _waits(operation: Operation) -> Iterator[str]:
    if isinstance(operation, migrations.AddField):
        yield from _added(operation.field)
    if isinstance(operation, migrations.AddIndex) and not isinstance(operation, CONCURRENT):
        yield "builds an index while writers wait: use AddIndexConcurrently"
    if isinstance(operation, migrations.RemoveIndex) and not isinstance(operation, CONCURRENT):
        yield "locks the table to drop an index: use RemoveIndexConcurrently"
    if isinstance(operation, migrations.AddConstraint) and not isinstance(
        operation, AddConstraintNotValid
    ):
        yield "reads the whole table under a lock: use AddConstraintNotValid, then validate"
    if isinstance(operation, BUILDS_AT_ONCE):
        yield "builds an index while writers wait"
    if isinstance(operation, UNSEEN):
        yield "cannot be judged by a program: say in `reviewed` why it disturbs nobody"


def _added(field: Any) -> Iterator[str]:
    if not field.null and field.db_default is NOT_PROVIDED and not field.many_to_many:
        yield "adds a column that the version before does not fill: null=True or db_default"
    if field.unique or field.db_index or field.is_relation:
        yield "builds an index while writers wait: add it concurrently, in a migration of its own"


def _mixed(migration: migrations.Migration) -> Iterator[str]:
    if migration.atomic:
        if any(isinstance(one, AddIndexConcurrently) for one in migration.operations):
            yield "cannot build concurrently in a transaction: atomic = False"
    elif not all(isinstance(one, CONCURRENT) for one in migration.operations):
        yield "has atomic = False, so it may only build concurrently and validate"


def made(
    *operations: Operation, name: str = "0009_next", atomic: bool = True, reviewed: str = ""
) -> migrations.Migration:
    """A migration of the jobs' application."""
    body = {"operations": list(operations), "atomic": atomic, "reviewed": reviewed}
    return type("Migration", (migrations.Migration,), body)(name, "jobs")


def test_every_migration_lets_the_version_before_go_on():
    loader = MigrationLoader(connection=None)
    found = [
        f"{app}.{name} {danger}; see docs/architecture/upgrades.md"
        for (app, name), migration in loader.disk_migrations.items()
        if app in OURS and f"{app}.{name}" not in BEFORE_THE_RULES
        for danger in dangers(migration)
    ]
    assert found == []


def test_what_was_there_before_the_rules_is_there_still():
    disk = MigrationLoader(connection=None).disk_migrations
    assert {f"{app}.{name}" for app, name in disk} >= BEFORE_THE_RULES


INDEX = models.Index(fields=["owner"], name="x")
CHECK = models.CheckConstraint(condition=models.Q(attempt__gte=0), name="y")


@pytest.mark.parametrize(
    ("operations", "danger"),
    [
        ([migrations.RemoveField("task", "owner")], "takes away"),
        ([migrations.RenameField("task", "owner", "holder")], "takes away"),
        ([migrations.DeleteModel("Task")], "takes away"),
        ([migrations.AddField("task", "n", models.IntegerField())], "does not fill"),
        ([migrations.AddField("task", "n", models.IntegerField(default=0))], "does not fill"),
        ([migrations.AddField("task", "n", models.IntegerField(null=True, unique=True))], "index"),
        (
            [migrations.AddField("task", "n", models.IntegerField(null=True, db_index=True))],
            "index",
        ),
        ([migrations.AddIndex("task", INDEX)], "AddIndexConcurrently"),
        ([migrations.RemoveIndex("task", "x")], "RemoveIndexConcurrently"),
        ([AddIndexConcurrently("task", INDEX)], "atomic = False"),
        ([migrations.AddConstraint("task", CHECK)], "AddConstraintNotValid"),
        ([migrations.AlterField("task", "n", models.TextField())], "reviewed"),
        ([migrations.RunSQL("select 1")], "reviewed"),
        ([migrations.RunPython(migrations.RunPython.noop)], "reviewed"),
        ([migrations.AlterUniqueTogether("task", {("a", "b")})], "builds an index"),
    ],
)
def test_what_would_disturb_those_who_work_is_refused(operations: Sequence[Operation], danger: str):
    assert [each for each in dangers(made(*operations)) if danger in each]


@pytest.mark.parametrize(
    "migration",
    [
        made(migrations.AddField("task", "n", models.IntegerField(null=True))),
        made(migrations.AddField("task", "n", models.IntegerField(db_default=0))),
        made(migrations.CreateModel("New", []), migrations.AddIndex("New", INDEX)),
        made(AddIndexConcurrently("task", INDEX), atomic=False),
        made(AddConstraintNotValid("task", CHECK)),
        made(ValidateConstraint("task", "y"), atomic=False),
        made(migrations.RemoveField("task", "n"), name="0010_contract_0_3_drop_n"),
        made(migrations.RunSQL("select 1"), reviewed="it reads nothing"),
        made(migrations.AlterModelOptions("task", {"verbose_name": "x"})),
    ],
)
def test_what_disturbs_nobody_passes(migration: migrations.Migration):
    assert list(dangers(migration)) == []


def test_an_interrupted_concurrent_build_keeps_nothing_else_half_done():
    mixed = made(
        migrations.AddField("task", "n", models.IntegerField(null=True)),
        AddIndexConcurrently("task", INDEX),
        atomic=False,
    )
    assert [each for each in dangers(mixed) if "only build concurrently" in each]
