"""What backup and restore refuse, before anything is touched. The drill is in acceptance."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from daef_site import backup, local
from daef_site.processes import CannotStart
from tests.integration.scenario import submit_echo


@pytest.fixture
def embedded(settings, tmp_path: Path):
    settings.DAEF_STORE = "embedded"
    settings.DAEF_DATA_DIR = tmp_path / "data"
    return settings


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    (tmp_path / "daef.dump").write_text("no dump at all")
    return tmp_path / "daef.dump"


def test_a_store_elsewhere_is_restored_by_its_own_means(embedded, dump: Path):
    embedded.DAEF_STORE = "postgres"
    with pytest.raises(CommandError, match="pg_restore --no-owner"):
        call_command("restore", str(dump))


def test_a_dump_that_is_not_there_is_named(embedded, tmp_path: Path):
    with pytest.raises(CommandError, match="missing is no file"):
        call_command("restore", str(tmp_path / "missing"))


def test_the_store_of_a_running_fabric_is_not_exchanged(embedded, dump: Path):
    embedded.DAEF_DATA_DIR.mkdir()
    lock = local.take_lock(embedded.DAEF_DATA_DIR)
    assert lock is not None
    with lock, pytest.raises(CommandError, match="stop it first"):
        call_command("restore", str(dump), "--replace")


@pytest.mark.django_db(transaction=True)
def test_a_store_that_has_jobs_is_given_up_only_when_asked(test_stores, embedded, dump: Path):
    submit_echo(1)

    class Server:
        """Stands for the embedded one."""

        dsn = make_conninfo(test_stores.postgres_dsn, dbname=connection.settings_dict["NAME"])

    with pytest.raises(CannotStart, match=r"has jobs.*--replace"):
        backup._exchange(Server, dump, replace=False)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_backup_never_takes_a_files_place(dump: Path):
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(dump))
    assert dump.read_text() == "no dump at all"


@pytest.mark.django_db
def test_a_backup_that_fails_leaves_no_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(backup, "_server", lambda _parts: {"PGHOST": "127.0.0.1", "PGPORT": "1"})
    with pytest.raises(CommandError, match="pg_dump failed"):
        call_command("backup", str(tmp_path / "new.dump"))
    assert list(tmp_path.iterdir()) == []
