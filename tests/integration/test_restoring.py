"""A database restored from a backup gives nothing out again that the time after it had given."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit.chain import Head
from audit.events import INTERNAL, Action, Door, Result
from audit.integrity import Tampering, examine
from audit.models import AuditEntry
from audit.recorder import head, record
from daef_site import ground
from jobs import integrity
from jobs.actions import artifacts, fleet, restoring
from jobs.actions.settle import SettleStatus
from jobs.errors import LeaseNotHeld
from jobs.models import Task, Worker
from jobs.transitions import restoring as transitions
from jobs.transitions.settling import UsageRow
from tests.integration.scenario import register, reloaded, statuses, submit_echo, success

pytestmark = pytest.mark.django_db(transaction=True)


class Backups:
    """Takes and restores real dumps of the tests' database, under its own name."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "daef.dump"
        self._name = connection.settings_dict["NAME"]
        parts = ("HOST", "PORT", "USER", "PASSWORD")
        self._server = {part.lower(): connection.settings_dict[part] for part in parts}

    def take(self) -> None:
        """Dump the database as it is now."""
        self._run("pg_dump", "--format=custom", f"--file={self.file}", self._name)

    def restore(self) -> None:
        """Put a database with what the dump holds in the place of this one."""
        connection.close()
        with psycopg.connect(**self._server, dbname="postgres", autocommit=True) as session:
            session.execute(f"drop database {self._name} with (force)")
            session.execute(f"create database {self._name}")
        self._run("pg_restore", "--exit-on-error", f"--dbname={self._name}", str(self.file))

    def _run(self, program: str, *arguments: str) -> None:
        variables = {f"PG{name.upper()}": str(value) for name, value in self._server.items()}
        command = [str(ground.binaries() / program), *arguments]
        subprocess.run(command, env={**os.environ, **variables}, check=True, timeout=60)


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    assert restoring.notice(INTERNAL) is None
    yield Backups(tmp_path)
    assert integrity.check_all() == []


def test_a_dump_that_was_restored_is_recognised(backups: Backups):
    backups.take()
    backups.restore()
    restored = restoring.notice(INTERNAL)
    assert restored is not None
    assert set(restored.changed) == {"database", "tables"}
    assert restoring.notice(INTERNAL) is None


def test_a_worker_of_the_lost_time_is_nobody_in_the_restored_one(backups: Backups):
    """By itself, whether or not anybody noticed the restore."""
    backups.take()
    lost = register()
    backups.restore()
    new = register()
    assert new.worker.pk != lost.worker.pk
    assert not Worker.objects.filter(pk=lost.worker.pk).exists()


def test_an_equal_share_of_another_worker_is_fenced(backups: Backups):
    """Job, task and epoch come again; the owner does not."""
    backups.take()
    lost = register()
    submit_echo(1)
    (old,) = lost.claim()
    backups.restore()
    new = register()
    job = submit_echo(1)
    (again,) = new.claim()
    assert (again.id, again.epoch) == (old.id, old.epoch)
    (answer,) = lost.settle(success(old, "stale"))
    assert answer.status == SettleStatus.FENCED
    assert statuses(job) == ["Running"]
    for call in (
        lambda: list(artifacts.read(lost.worker.pk, fleet.Share(old.id, old.epoch), "input")),
        lambda: artifacts.write(lost.worker.pk, fleet.Share(old.id, old.epoch), "", [b"stale"]),
        lambda: lost.beat([old]),
    ):
        with pytest.raises(LeaseNotHeld):
            call()
    usage = UsageRow(old.id, old.epoch, 0, "e", "m", 1, 1, 1, False)
    lost.settle(success(old, "stale")._replace(usage=(usage,)))
    new.succeed([again], "fresh")
    assert json.loads(Task.objects.get(pk=again.id).result or "") == "fresh"


def test_a_worker_of_the_backup_has_to_register_anew(backups: Backups):
    """It may hold shares of the lost time, whose epochs are given out again to it itself."""
    kept = register()
    backups.take()
    submit_echo(1)
    (old,) = kept.claim()
    backups.restore()
    restoring.notice(INTERNAL)
    with pytest.raises(LeaseNotHeld, match="register again"):
        kept.beat([old])
    assert kept.claim() == []


def test_what_ran_at_the_time_of_the_backup_runs_again_at_no_cost(backups: Backups):
    worker = register()
    job = submit_echo(2, max_attempts=1)
    worker.claim(1)
    backups.take()
    backups.restore()
    restored = restoring.notice(INTERNAL)
    assert restored is not None
    assert (restored.workers, restored.tasks) == (1, 1)
    assert statuses(job) == ["Queued", "Queued"]
    assert set(Task.objects.values_list("attempt", flat=True)) == {0}
    new = register()
    while claimed := new.claim(2):
        new.succeed(claimed, "fresh")
    assert reloaded(job).status == "Succeeded"


def test_job_numbers_of_the_lost_time_are_not_given_out_again(backups: Backups):
    submit_echo(1)
    backups.take()
    lost = submit_echo(1)
    backups.restore()
    restored = restoring.notice(INTERNAL)
    new = submit_echo(1)
    assert new.pk >= lost.pk + restoring.SKIPPED_NUMBERS
    assert restored is not None
    assert restored.next_job == new.pk


def test_events_of_the_lost_time_do_not_hide_the_new_ones(backups: Backups):
    from jobs.models import JobEvent

    job = submit_echo(1)
    backups.take()
    worker = register()
    worker.succeed(worker.claim())
    seen = JobEvent.objects.latest("pk").pk
    backups.restore()
    restoring.notice(INTERNAL)
    new = register()
    new.succeed(new.claim())
    later = JobEvent.objects.filter(job_id=job.pk, pk__gt=seen)
    assert [event.kind for event in later.order_by("pk")] == [
        "claimed",
        "settled",
        "ended",
    ]


def noted() -> Head:
    """An operator did something; the log's head is kept elsewhere."""
    record(action=Action.JOB_CANCEL, result=Result.OK, actor="a", origin=INTERNAL, target="job-1")
    return head()


def in_one_go(function):
    from django.db import transaction

    with transaction.atomic():
        return function()


def test_a_kept_audit_head_shows_that_the_log_went_back(backups: Backups):
    first = in_one_go(noted)
    backups.take()
    kept = in_one_go(noted)
    in_one_go(noted)
    backups.restore()
    assert examine(head=first).broken is None
    broken = examine(head=kept).broken
    assert broken is not None
    assert broken.kind == Tampering.TRUNCATE
    restoring.notice(INTERNAL)
    broken = examine(head=kept).broken
    assert broken is not None
    assert broken.kind == Tampering.EDIT
    assert examine(head=first).broken is None


def test_the_restore_is_in_the_audit_log(backups: Backups):
    backups.take()
    backups.restore()
    restored = restoring.notice(INTERNAL)
    assert restored is not None
    entry = AuditEntry.objects.get(action="store_restored")
    assert json.loads(entry.details) == {
        "changed": "database, tables",
        "next_job": restored.next_job,
        "tasks": 0,
        "workers": 0,
    }


def test_a_restore_that_cannot_be_seen_can_be_said(backups: Backups):
    worker = register()
    submit_echo(1)
    worker.claim()
    out = io.StringIO()
    call_command("after_restore", "--next-job=job-700000000", stdout=out)
    assert "1 workers have to register anew, 1 running tasks" in out.getvalue()
    assert submit_echo(1).pk == 700_000_000
    assert AuditEntry.objects.get(action="store_restored").door == Door.COMMAND


@pytest.mark.parametrize("name", ["7", "job-0", "job-99999999999999", "job-٥"])
def test_a_wrong_number_is_refused(name: str):
    with pytest.raises(CommandError, match=r"--next-job: write a name"):
        call_command("after_restore", f"--next-job={name}")


@contextmanager
def as_role_without_rights() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("create role plain login password 'plain'")
        cursor.execute("revoke execute on function pg_control_system() from public")
        cursor.execute("grant all on all tables in schema public to plain")
        cursor.execute("set role plain")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("reset role")
            cursor.execute("drop owned by plain")
            cursor.execute("drop role plain")
            cursor.execute("grant execute on function pg_control_system() to public")


def test_what_a_managed_server_keeps_to_itself_is_done_without(monkeypatch):
    monkeypatch.setattr(transitions, "_untold", set())
    with as_role_without_rights():
        facts = transitions.facts()
        assert facts["cluster"] == ""
        assert facts["tables"]
        assert restoring.notice(INTERNAL) is None
    monkeypatch.setattr(transitions, "_untold", set())
    assert restoring.notice(INTERNAL) is None
