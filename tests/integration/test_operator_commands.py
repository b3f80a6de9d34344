"""``queue_stats`` and ``prune``, and what all commands of operators have in common."""

import json
from io import BytesIO, StringIO

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.utils import timezone

from audit.models import AuditEntry
from jobs.actions.artifacts import store_blob
from jobs.actions.retention import prune
from jobs.models import Artifact, Job, Pool, Task
from jobs.transitions.sql import execute
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

COMMANDS = {
    "create_tenant": "access",
    "create_token": "access",
    "revoke_token": "access",
    "requeue": "jobs",
    "audit_verify": "audit",
    "audit_export": "audit",
    "verify": "jobs",
    "queue_stats": "jobs",
    "prune": "jobs",
}


def run(name, *arguments):
    """What a command prints to standard output, and to standard error."""
    out, told = StringIO(), StringIO()
    call_command(name, *arguments, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def document(name, *arguments):
    return json.loads(run(name, "--json", *arguments)[0])


def ended_job(*, days=40, tasks=1, owner="default"):
    """A job that ended so many days ago."""
    job, hand = submit_echo(tasks, owner=owner), register(slots=100)
    hand.succeed(hand.claim(tasks))
    age_job(job, days)
    return job


def age_job(job, days):
    execute(
        "update job set created_at = created_at - make_interval(days => %s), "
        "finished_at = finished_at - make_interval(days => %s) where id = %s",
        (days, days, job.pk),
    )


def old_artifact(job):
    """A blob of a job's tenant that is older than anything."""
    store_blob(
        stream=BytesIO(b"data"), tenant=job.tenant_id, media_type="text/plain", now=timezone.now()
    )
    execute("update artifact set created_at = now() - interval '90 days'")


def entries():
    rows = AuditEntry.objects.order_by("number").values_list("action", "result", "reason")
    return [row for row in rows if row[0] == "prune"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_operators_explains_itself_and_speaks_json(name):
    parser = load_command_class(COMMANDS[name], name).create_parser("manage.py", name)
    told = parser.format_help()
    assert "--json" in told
    assert "Exit status" in told
    assert "Examples" in told
    assert max(map(len, (parser.description or "").splitlines())) <= 100


# ── queue_stats ───────────────────────────────────────────────────────────────────────────────────


def test_queue_stats_tells_what_waits_and_runs():
    submit_echo(5, priority="batch")
    register(slots=4).claim(2)
    (pool,) = document("queue_stats")["pools"]
    assert (pool["workers"], pool["slots"], pool["slots_busy"]) == (1, 4, 2)
    batch = next(row for row in pool["queues"] if row["priority"] == "batch")
    assert (batch["queued"], batch["running"], batch["late"]) == (3, 2, False)
    assert batch["oldest_seconds"] >= 0
    shown = run("queue_stats")[0]
    assert "pool default: 1 workers, 2 of 4 slots busy" in shown
    assert "3 queued       2 running   oldest waits" in shown


def test_queue_stats_counts_tickets_and_dead_letters(redis_url):
    import redis

    redis.Redis.from_url(redis_url).lpush("rq:queue:daef-default", "a ticket")
    submit_echo(1)
    hand = register()
    hand.fail(hand.claim(1))
    told = document("queue_stats")
    assert told["pools"][0]["tickets"] >= 1
    assert told["dead_letters"] == 1


def test_queue_stats_goes_on_without_redis(settings):
    settings.DAEF_REDIS_URL = "redis://127.0.0.1:1/0"
    assert document("queue_stats")["pools"][0]["tickets"] is None
    assert "Redis does not answer" in run("queue_stats")[0]


def test_queue_stats_of_one_pool():
    Pool.objects.create(name="gpu")
    assert [pool["name"] for pool in document("queue_stats", "--pool", "gpu")["pools"]] == ["gpu"]
    with pytest.raises(CommandError, match="no pool 'moon'") as refused:
        run("queue_stats", "--pool", "moon")
    assert refused.value.returncode == 2


def test_queue_stats_check_speaks_up_where_work_waits_too_long():
    run("queue_stats", "--check")
    submit_echo(1)
    with pytest.raises(CommandError, match="no worker there takes any") as late:
        run("queue_stats", "--check")
    assert late.value.returncode == 3
    register()
    run("queue_stats", "--check")
    execute("update task set queued_at = now() - interval '11 minutes'")
    with pytest.raises(CommandError, match=r"standard work waits 66\d s in the pool default"):
        run("queue_stats", "--check")
    assert "LATE" in run("queue_stats")[0]


# ── prune ─────────────────────────────────────────────────────────────────────────────────────────


def test_prune_deletes_what_is_kept_no_longer_and_nothing_else():
    old, young, open_job = ended_job(days=40, tasks=3), ended_job(days=20), submit_echo(1)
    told = document("prune", "--reason", "disk, OPS-1")
    assert (told["jobs"], told["tasks"], told["batches"]) == (1, 3, 1)
    assert set(Job.objects.values_list("pk", flat=True)) == {young.pk, open_job.pk}
    assert not Task.objects.filter(id__gte=old.pk << 20, id__lt=(old.pk + 1) << 20).exists()
    assert entries() == [("prune", "ok", "disk, OPS-1")]
    details = json.loads(AuditEntry.objects.latest("number").details)
    assert details == {"artifacts": 0, "days": 30, "jobs": 1, "keys": 0, "tasks": 3}


def test_prune_tried_out_says_the_same_and_changes_nothing():
    ended_job(tasks=3)
    tried = document("prune", "--dry-run", "--reason", "how much?")
    assert (tried["jobs"], tried["tasks"], tried["dry_run"]) == (1, 3, True)
    assert Job.objects.count() == 1
    assert entries() == [("prune", "dry_run", "how much?")]
    done = document("prune")
    same = ("jobs", "tasks", "keys", "artifacts")
    assert [done[name] for name in same] == [tried[name] for name in same]


def test_prune_works_in_batches_each_on_record():
    for _ in range(5):
        ended_job()
    told = document("prune", "--batch", "2")
    assert (told["jobs"], told["batches"]) == (5, 3)
    assert [entry[1] for entry in entries()] == ["ok", "ok", "ok"]


def test_a_batch_ends_at_a_bound_of_tasks_and_takes_one_job_at_least(monkeypatch):
    monkeypatch.setattr("jobs.actions.retention.TASKS_PER_PASS", 3)
    for tasks in (5, 2, 1, 2):
        ended_job(tasks=tasks)
    execute("update job set finished_at = finished_at + id * interval '1 second'")
    run("prune")
    rows = AuditEntry.objects.filter(action="prune").order_by("number")
    assert [json.loads(row.details)["tasks"] for row in rows] == [5, 3, 2]


def test_prune_earlier_than_the_setting_says():
    job = ended_job(days=3)
    assert document("prune")["jobs"] == 0
    assert document("prune", "--days", "2")["jobs"] == 1
    assert not Job.objects.filter(pk=job.pk).exists()


def test_prune_of_one_tenant_leaves_others_keys_and_artifacts():
    mine, other = ended_job(owner="acme"), ended_job(owner="beta")
    old_artifact(other)
    assert document("prune", "--tenant", "acme", "--dry-run")["artifacts"] == 0
    told = document("prune", "--tenant", "acme")
    assert (told["jobs"], told["artifacts"], told["tenant"]) == (1, 0, "acme")
    assert set(Job.objects.values_list("pk", flat=True)) == {other.pk}
    assert mine.pk != other.pk
    assert AuditEntry.objects.latest("number").tenant == "acme"


def test_prune_takes_artifacts_that_nothing_needs_any_more():
    job = ended_job()
    old_artifact(job)
    assert document("prune", "--dry-run")["artifacts"] == 1
    assert document("prune")["artifacts"] == 1
    assert not Artifact.objects.exists()


def test_prune_forgets_old_keys():
    job = submit_echo(1)
    execute(
        "insert into idempotency_record (tenant_id, key, request_sha256, job_id, created_at) "
        "values (%s, 'k', 'x', %s, now() - interval '25 hours')",
        (job.tenant_id, job.pk),
    )
    assert document("prune", "--dry-run")["keys"] == 1
    assert document("prune")["keys"] == 1


def test_prune_forgets_keys_batch_by_batch(monkeypatch):
    monkeypatch.setattr("jobs.actions.retention.KEYS_PER_PASS", 2)
    job = submit_echo(1)
    execute(
        "insert into idempotency_record (tenant_id, key, request_sha256, job_id, created_at) "
        "select %s, n::text, 'x', %s, now() - interval '25 hours' from generate_series(1, 5) n",
        (job.tenant_id, job.pk),
    )
    told = document("prune")
    assert (told["keys"], told["batches"]) == (5, 3)


def test_without_anything_to_delete_prune_leaves_no_entry():
    submit_echo(1)
    assert document("prune")["batches"] == 0
    assert entries() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--days", "0"), "days: use a whole number"),
        (("--days", "-1"), "days: use a whole number"),
        (("--batch", "0"), "jobs: use a whole number"),
        (("--batch", "1001"), "jobs: use a whole number"),
        (("--tenant", "nobody"), "no tenant called 'nobody'"),
        (("--tenant", "a\0b"), "no tenant called"),
    ],
)
def test_what_prune_cannot_do_is_refused_and_on_record(arguments, said):
    ended_job()
    with pytest.raises(CommandError, match=said) as refused:
        run("prune", *arguments)
    assert refused.value.returncode == 2
    assert Job.objects.count() == 1
    assert [entry[1] for entry in entries()] == ["refused"]


def test_prune_that_is_stopped_says_how_far_it_came(monkeypatch):
    for _ in range(3):
        ended_job()
    real, calls = prune, []

    def stopped(*args, **kwargs):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr("jobs.management.commands.prune.prune", stopped)
    out = StringIO()
    with pytest.raises(CommandError, match="goes on") as end:
        call_command("prune", "--batch", "1", "--json", stdout=out, stderr=StringIO())
    assert end.value.returncode == 130
    told = json.loads(out.getvalue())
    assert (told["jobs"], told["stopped"]) == (1, True)
    assert Job.objects.count() == 2
