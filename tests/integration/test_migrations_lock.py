"""Migrations that are applied while others serve: they give way, they name themselves, they end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.migrations import Migration
from psycopg.conninfo import make_conninfo

from daef_site import migrations_lock
from daef_site.migrations_lock import MigrationFailed, MigrationsBusy, apply_migrations

pytestmark = pytest.mark.django_db(transaction=True)

ADD_COLUMN = "migrations.RunSQL('alter table job add column probe int')"


@pytest.fixture
def session(test_stores) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's session in the tests' database."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(make_conninfo(test_stores.postgres_dsn, dbname=name)) as session:
        yield session
        session.rollback()


@pytest.fixture
def write(settings, monkeypatch, tmp_path: Path, session) -> Iterator[Callable[..., None]]:
    """Writes the one migration of an application that has none; whatever it did is undone."""
    package = f"probe_{time.monotonic_ns()}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"queueing": package}

    def write_migration(operation: str) -> None:
        (tmp_path / package / "0001_probe.py").write_text(
            "from django.db import migrations\n\n\n"
            f"class Migration(migrations.Migration):\n    operations = [{operation}]\n"
        )

    yield write_migration
    session.rollback()
    session.execute("alter table job drop column if exists probe")
    session.execute("delete from django_migrations where app = 'queueing'")
    session.commit()


def is_applied(session: psycopg.Connection[Any]) -> bool:
    statement = (
        "select exists (select 1 from pg_attribute "
        "where attrelid = 'job'::regclass and attname = 'probe' and not attisdropped)"
    )
    return session.execute(statement).fetchone() == (True,)


@contextmanager
def applying() -> Iterator[list[Exception]]:
    """Another thread applies migrations meanwhile; what it raised is there at the end."""
    raised: list[Exception] = []

    def apply() -> None:
        try:
            apply_migrations()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=apply)
    thread.start()
    try:
        yield raised
    finally:
        thread.join(30)
    assert not thread.is_alive()


def wait_until_it_waits(session: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 20
    statement = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
        "and query like 'alter table job add column probe%'"
    )
    while session.execute(statement).fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_migration_lets_others_through_and_tries_again(write, session):
    write(ADD_COLUMN)
    session.execute("select count(*) from job")
    dsn = make_conninfo(session.info.dsn, password=session.info.password)
    with applying() as raised, psycopg.connect(dsn, autocommit=True) as us:
        us.execute("set statement_timeout = '8s'")
        wait_until_it_waits(us)
        # They queue up behind the migration, which gives way before their time is over.
        us.execute("select count(*) from job")
        us.execute("update job set message = message")
        assert not is_applied(us)
        session.commit()
    assert raised == []
    assert is_applied(session)


def test_a_migration_that_gets_no_turn_names_who_is_in_its_way(write, session, monkeypatch):
    monkeypatch.setattr(migrations_lock, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(migrations_lock, "TABLE_SECONDS", 0.1)
    write(ADD_COLUMN)
    session.execute("select count(*) from job")
    pid = session.info.backend_pid
    with pytest.raises(MigrationsBusy) as raised:
        apply_migrations()
    assert "queueing.0001_probe gets no turn" in str(raised.value)
    assert f"pg_terminate_backend({pid})" in str(raised.value)
    assert not is_applied(session)


def test_a_migration_that_fails_names_itself_and_leaves_nothing(write, session):
    write(f"{ADD_COLUMN}, migrations.RunSQL('select 1 / 0')")
    with pytest.raises(MigrationFailed) as raised:
        apply_migrations()
    assert "queueing.0001_probe failed: division by zero" in str(raised.value)
    assert "Mend what it names and start again" in str(raised.value)
    assert not is_applied(session)
    write(ADD_COLUMN)


def test_a_second_starter_waits_for_the_first_and_no_longer_than_that(session, monkeypatch):
    monkeypatch.setattr(migrations_lock, "WAIT_SECONDS", 0.2)
    session.execute("select pg_advisory_lock(%s)", [migrations_lock.LOCK_KEY])
    with pytest.raises(MigrationsBusy, match="another process has been applying"):
        apply_migrations()
    session.execute("select pg_advisory_unlock(%s)", [migrations_lock.LOCK_KEY])
    apply_migrations()


def test_a_second_starter_goes_on_when_the_first_is_done(write, session):
    write(ADD_COLUMN)
    with applying() as first, applying() as second:
        pass
    assert (first, second) == ([], [])
    assert is_applied(session)


def test_an_index_that_a_killed_build_left_is_dropped_before_the_next(session):
    session.execute("create index probe_left on attempt (owner)")
    session.execute("create index probe_whole on attempt (owner)")
    session.execute(
        "update pg_index set indisvalid = false where indexrelid = 'probe_left'::regclass"
    )
    session.commit()

    class Probe(Migration):
        atomic = False
        operations = [
            AddIndexConcurrently("Attempt", models.Index(fields=["owner"], name=name))
            for name in ("probe_left", "probe_whole")
        ]

    migrations_lock._prepare(Probe("0001_probe", "jobs"))
    left = session.execute("select relname from pg_class where relname like 'probe_%'")
    assert left.fetchall() == [("probe_whole",)]
    session.execute("drop index probe_whole")
    session.commit()
    connection.close()


def test_the_command_does_as_a_start_does(write, session, capsys):
    write(ADD_COLUMN)
    call_command("migrate")
    assert is_applied(session)
    assert "up to date" in capsys.readouterr().out


def test_the_command_says_why_it_could_not(write, session):
    write("migrations.RunSQL('select 1 / 0')")
    with pytest.raises(CommandError, match=r"queueing.0001_probe failed"):
        call_command("migrate")
    write(ADD_COLUMN)
