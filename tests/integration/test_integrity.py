"""The checker finds each kind of damage, and nothing on a sound database."""

import json
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from access.actors import LOCAL_OPERATOR
from audit import checks
from jobs import integrity
from jobs.actions import control, files
from jobs.transitions.settling import UsageRow
from jobs.transitions.sql import execute
from tests.integration.scenario import (
    failure,
    register,
    submit_job,
    submit_pipeline,
    success,
    tenant,
)

pytestmark = pytest.mark.django_db

DAMAGE = {
    "queued_once": "delete from ready where task_id = (select min(task_id) from ready)",
    "only_queued_waits": "update ready set priority = 100",
    "parked_suspended": "insert into delayed (task_id, due_at) "
    "select min(task_id), 'infinity' from ready",
    "running_leased": "update lease set task_ids = '{}'",
    "leased_running": "update lease set task_ids = task_ids || 12345::bigint",
    "waiting_counted": "update task set waiting = 2 where status = 'Blocked'",
    "ready_when_parents_ended": "insert into edge (parent_id, child_id, kind) select "
    "(select id from task where status = 'Blocked' limit 1), id, 'collects' from task "
    "where status = 'Queued'",
    "needs_kept": "insert into edge (parent_id, child_id, kind) select "
    "(select id from task where status = 'DeadLettered'), id, 'needs' from task "
    "where status = 'Queued'",
    "children_counted": "delete from edge",
    "one_tenant": "update job set tenant_id = (select max(id) from tenant)",
    "attempts_counted": "update task set attempt = 2 where status = 'Succeeded'",
    "one_attempt_an_epoch": "delete from attempt where outcome = 'Succeeded'",
    "claimed_once_an_epoch": "delete from job_event where kind = 'claimed'",
    "one_result": "update task set result = null where status = 'Succeeded'",
    "dead_letters_listed": "delete from dead_letter",
    "stages_counted": "update job_stage set succeeded = succeeded + 1",
    "jobs_whole": "update job set total_tasks = total_tasks + 1",
    "budgets_reserved": "update budget set reserved_nano_usd = reserved_nano_usd + 1",
    "usage_booked": "update task set input_tokens = 7",
    "pools_counted": "delete from tally where name = 'tasks'",
    "parallelism_kept": "update job set max_parallelism = 0",
    "leases_match": "update lease set pool_id = pool_id + 1",
    "inputs_kept": "delete from task_input where job_id = (select max(id) from job)",
    "artifacts_whole": "delete from artifact_chunk",
    "keys_name_jobs": "update idempotency_record set job_id = 4711",
    "event_order": "update job_event set kind = 'claimed' where kind = 'settled'",
    "attempts_numbered": "update attempt set number = 2",
    "ended_by_its_claimer": "update job_event set actor = 'bob' where kind = 'claimed'",
    "parallelism_kept_always": "update job set max_parallelism = 2 where type = 'pipeline'",
    "budget_kept_always": "update job set limit_nano_usd = 1 where limit_nano_usd is not null",
    "budget_settled": "update budget set settled_nano_usd = settled_nano_usd + 1",
    "actions_recorded": "delete from job_event where kind = 'suspended'",
    "audit_chain": "insert into audit_entry select number + 1, happened_at, action, result, actor, "
    "door, tenant, target, reason, address, request_id, details, hash, reverse(hash) "
    "from audit_entry",
    "job_status": "update job set status = 'Suspended', reason = 'Suspended'",
}


MORE = [
    ("only_queued_waits", "update ready set tenant_id = (select max(id) from tenant)"),
    ("dead_letters_listed", "update dead_letter set tenant_id = (select max(id) from tenant)"),
    ("dead_letters_listed", "update dead_letter set error_code = 'other'"),
    ("one_tenant", "update task set pool_id = pool_id + 1 where status = 'Succeeded'"),
    ("one_tenant", "update usage_entry set tenant_id = (select max(id) from tenant)"),
    ("stages_counted", "delete from job_stage"),
    ("leases_match", "update lease set task_ids = '{}'"),
    ("artifacts_whole", "update artifact_chunk set data = 'y'"),
    ("artifacts_whole", "update file set sha256 = repeat('0', 64)"),
    ("attempts_counted", "update task set attempt = 3 where status = 'DeadLettered'"),
    ("attempts_counted", "update task set attempt = 2 where status = 'Running'"),
]
"""Damage of other kinds, by the rule that it breaks."""


@pytest.fixture
def busy_database() -> None:
    """Tasks of every status, a lease, budgets, a file, a dead letter, an operator's action."""
    submit_pipeline(
        {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e", "needs": ["c"]}
    )
    worker = register()
    first, second, _ = worker.claim(3)
    used = UsageRow(first.id, first.epoch, 0, "embedded-chat", "smollm2-135m", 0, 0, 0, False)
    worker.settle(success(first)._replace(usage=(used,)), failure(second))
    submit_job({"type": "chat", "input": "hello"}, key="k")
    worker.claim(2)
    submit_job({"type": "chat", "input": "hello"})
    chat = submit_job({"type": "chat", "input": "hello"})
    control.suspend_job(job_id=chat.pk, actor=LOCAL_OPERATOR)
    files.store_file(
        stream=BytesIO(b"x"),
        tenant=tenant(),
        uid=uuid4(),
        name="x.csv",
        purpose="documents",
        media_type="text/csv",
        now=timezone.now(),
    )
    tenant("another")


def test_every_rule_has_a_kind_of_damage_that_breaks_it():
    assert sorted(integrity.rules()) == sorted(DAMAGE)


def test_a_busy_database_is_sound(busy_database):
    assert integrity.check_all() == []


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_damage_is_found_and_named(busy_database, name):
    assert execute(DAMAGE[name]) > 0
    assert name in {violation.name for violation in integrity.check_all()}


@pytest.mark.parametrize(("name", "damage"), MORE)
def test_damage_of_other_kinds_is_found_too(busy_database, name, damage):
    assert execute(damage) > 0
    assert name in {violation.name for violation in integrity.check_all()}


def test_an_audit_log_whose_checked_end_was_cut_is_found(busy_database):
    checks.check_some()
    execute("set local session_replication_role = replica")
    assert execute("delete from audit_entry") > 0
    (violation,) = (v for v in integrity.check_all() if v.name == "audit_chain")
    assert "the log ends before entry" in violation.found[0]


def test_the_command_names_the_rule_and_fails(busy_database, capsys):
    execute(DAMAGE["dead_letters_listed"])
    with pytest.raises(CommandError):
        call_command("verify")
    assert "dead_letters_listed" in capsys.readouterr().out


def test_the_command_prints_json(busy_database, capsys):
    call_command("verify", "--json")
    assert json.loads(capsys.readouterr().out) == {"sound": True, "violations": []}
