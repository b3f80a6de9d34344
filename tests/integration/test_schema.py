"""The walls that stand in the database itself: what no statement may write, whoever sends it."""

import uuid
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from access.models import Tenant
from jobs.models import Capability, File, Job, Policy, PolicyRevision, Pool
from jobs.transitions.sql import execute
from tests.integration.scenario import register, submit_echo, submit_job, tenant

pytestmark = pytest.mark.django_db


def refused_by(constraint: str, write: Callable[[], object]) -> None:
    """The write has to fail, and for this constraint."""
    with pytest.raises(IntegrityError, match=f'"{constraint}"'), transaction.atomic():
        write()


WRONG_ROWS = (
    ("task_owned_iff_running", "update task set owner = 1 where status = 'Queued'"),
    ("task_owned_iff_running", "update task set status = 'Running' where status = 'Queued'"),
    ("task_finished_iff_ended", "update task set finished_at = now() where status = 'Queued'"),
    ("task_finished_iff_ended", "update task set status = 'Cancelled' where status = 'Queued'"),
    ("task_attempts_bounded", "update task set attempt = max_attempts + 1"),
    ("task_attempts_bounded", "update task set waiting = -1 where status = 'Queued'"),
    ("task_blocked_iff_waiting", "update task set status = 'Blocked' where status = 'Queued'"),
    ("task_blocked_iff_waiting", "update task set waiting = 1 where status = 'Queued'"),
    ("job_finished_iff_ended", "update job set finished_at = now()"),
    ("job_finished_iff_ended", "update job set status = 'Succeeded'"),
    ("job_stage_counts", "update job_stage set open = -1, blocked = -1"),
    ("job_stage_counts", "update job_stage set blocked = -1"),
    ("job_stage_counts", "update job_stage set blocked = open + 1"),
    ("job_stage_counts", "update job_stage set succeeded = -1"),
    ("job_stage_counts", "update job_stage set dead_lettered = -1"),
    ("job_stage_counts", "update job_stage set cancelled = -1"),
    ("budget_kept", "update budget set reserved_nano_usd = -1"),
    ("budget_kept", "update budget set settled_nano_usd = -1"),
    ("budget_kept", "update budget set reserved_nano_usd = limit_nano_usd + 1"),
    ("budget_kept", "update budget set settled_nano_usd = limit_nano_usd + 1"),
    ("budget_kept", "update budget set reserved_nano_usd = limit_nano_usd, settled_nano_usd = 1"),
)


@pytest.mark.parametrize(("constraint", "statement"), WRONG_ROWS)
def test_a_row_that_cannot_be_is_refused(constraint: str, statement: str):
    submit_job({"type": "chat", "input": "hello", "budget": {"limit_usd": 1}})
    refused_by(constraint, lambda: execute(statement))


# What is the key of a row, so that it is written once however often somebody tries.
TWICE = (
    ("idempotency_record", "(tenant_id, key, request_sha256, job_id, created_at)"
     " values (1, 'k', '', 1, now())"),
    ("attempt", "(task_id, epoch, generation, number, owner, started_at, finished_at, outcome,"
     " input_tokens, output_tokens, cost_nano_usd)"
     " values (1, 1, 1, 1, 1, now(), now(), 'Succeeded', 0, 0, 0)"),
    ("usage_entry", "(task_id, epoch, call, tenant_id, endpoint, model, input_tokens,"
     " output_tokens, cost_nano_usd, wasted, recorded_at)"
     " values (1, 1, 0, 1, 'e', 'm', 1, 1, 1, false, now())"),
    ("ready", "(pool_id, capability_id, priority, tenant_id, task_id) values (1, 1, 0, 1, 1)"),
    ("delayed", "(task_id, due_at) values (1, now())"),
    ("edge", "(parent_id, child_id, kind) values (1, 2, 'needs')"),
    ("dead_letter", "(task_id, job_id, tenant_id, kind, error_code, error_message, buried_at)"
     " values (1, 1, 1, 'echo', '', '', now())"),
    ("artifact", "(tenant_id, sha256, size_bytes, media_type, created_at)"
     " values (1, 'a', 1, 'text/plain', now())"),
    ("artifact_chunk", "(tenant_id, sha256, number, data) values (1, 'a', 0, '')"),
    ("submit_window", "(tenant_id, minute, used) values (1, 1, 1)"),
    ("first_login", "(digest, expires_at) values ('d', now())"),
    ("task_input", "(task_id, job_id, name, model, parameters, input)"
     " values (1, 1, 'n', '', '{}', '1')"),
    ("budget", "(job_id, limit_nano_usd, task_ceiling_nano_usd, reserved_nano_usd,"
     " settled_nano_usd, overrun_nano_usd) values (1, 1, 1, 0, 0, 0)"),
)  # fmt: skip


@pytest.mark.parametrize(("table", "row"), TWICE, ids=[table for table, _ in TWICE])
def test_a_row_is_there_once(table: str, row: str):
    statement = f"insert into {table} {row}"
    assert execute(statement) == 1
    refused_by(f"{table}_pkey", lambda: execute(statement))


def test_a_job_spawns_a_name_once():
    statement = (
        "insert into task_input (task_id, job_id, name, model, parameters, input, spawned_by) "
        "values (%s, 1, 'label-1', '', '{}', '1', 7)"
    )
    execute(statement, (1,))
    refused_by("task_spawned_once", lambda: execute(statement, (2,)))


def test_names_and_numbers_are_given_once():
    job, hand = submit_echo(1), register()
    policy = Policy.objects.get()
    number = str(uuid.uuid4())
    File.objects.create(uid=number, tenant=tenant(), size_bytes=1, created_at=job.created_at)
    again: list[Callable[[], object]] = [
        lambda: Tenant.objects.create(name="default"),
        lambda: Pool.objects.create(name="default"),
        lambda: Policy.objects.create(name=policy.name),
        lambda: PolicyRevision.objects.create(policy=policy, number=1, spec={}),
        lambda: Capability.objects.create(kind="echo", model=""),
        lambda: File.objects.create(
            uid=number, tenant=tenant(), size_bytes=1, created_at=job.created_at
        ),
        lambda: Job.objects.filter(pk=submit_echo(1).pk).update(uid=job.uid),
        lambda: (
            type(hand.worker)
            .objects.filter(pk=register().worker.pk)
            .update(incarnation=hand.worker.incarnation)
        ),
    ]
    for write in again:
        with pytest.raises(IntegrityError, match="unique constraint"), transaction.atomic():
            write()


def test_the_migrations_make_the_tables_of_the_models():
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())
