"""What is no longer kept goes whole, and nothing else goes with it."""

import io

import pytest
from django.utils import timezone

from jobs.actions import retention
from jobs.actions.artifacts import append_log, store_blob
from jobs.models import Artifact, ArtifactChunk, Job, UsageEntry
from jobs.queries.artifacts import read_blob
from jobs.transitions.sql import execute
from tests.integration.neighbour import usage_of
from tests.integration.scenario import failure, register, submit_job, submit_pipeline, tenant
from tests.integration.task_model import rows_of

pytestmark = pytest.mark.django_db

OLD = "now() - interval '40 days'"


def ended_job() -> Job:
    """A job with every kind of row a task can own."""
    chat = {"kind": "chat", "input": {"prompt": "x"}}
    job = submit_pipeline({"name": "a", **chat}, {"name": "b", "collects": ["a"]})
    worker = register()
    (task,) = worker.claim()
    append_log(worker.worker.pk, [(task.id, task.epoch, "line")])
    worker.settle(failure(task)._replace(usage=usage_of(task)))
    worker.succeed(worker.claim())
    return job


def store(owner: int, data: bytes, *, old: bool = True) -> str:
    sha256, _ = store_blob(
        stream=io.BytesIO(data), tenant=owner, media_type="text/plain", now=timezone.now()
    )
    if old:
        execute(f"update artifact set created_at = {OLD} where sha256 = %s", (sha256,))
    return sha256


def test_a_job_that_is_deleted_leaves_nothing_but_what_it_cost():
    job = ended_job()
    submit_job({"type": "chat", "input": "hello"}, key="kept")
    execute(f"update job set finished_at = {OLD} where id = %s", (job.pk,))
    assert retention.delete_old_jobs(days=30) == 1
    assert rows_of(job.pk) == 0
    for table in ("job_stage", "job_event", "task_log"):
        column = "job_id" if table != "task_log" else "task_id >> 20"
        assert execute(f"select 1 from {table} where {column} = %s", (job.pk,)) == 0
    assert UsageEntry.objects.count() == 1


def test_a_job_that_is_open_or_ended_lately_stays():
    ended_job()
    open_job = submit_job({"type": "chat", "input": "hello"})
    execute(f"update job set created_at = {OLD} where id = %s", (open_job.pk,))
    assert retention.delete_old_jobs(days=30) == 0
    assert Job.objects.count() == 2


def test_a_pass_deletes_so_many_jobs_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(retention, "JOBS_PER_PASS", 2)
    for _ in range(3):
        ended_job()
    execute(f"update job set finished_at = {OLD}")
    assert [retention.delete_old_jobs(days=30) for _ in range(3)] == [2, 1, 0]


def test_an_old_blob_that_no_file_names_goes_and_its_like_next_door_stays():
    ours, theirs = tenant("alice").pk, tenant("bob").pk
    sha256 = store(ours, b"the same")
    store(theirs, b"the same")
    execute("update artifact set created_at = now() where tenant_id = %s", (theirs,))
    assert retention.delete_unused_artifacts(days=30) == 1
    assert not ArtifactChunk.objects.filter(tenant_id=ours).exists()
    assert read_blob(theirs, sha256) == b"the same"


def test_a_blob_that_is_young_or_named_by_a_file_or_as_old_as_a_kept_job_stays():
    owner = tenant("alice").pk
    young = store(owner, b"young", old=False)
    named = store(owner, b"named")
    execute(
        "insert into file (uid, tenant_id, name, purpose, media_type, sha256, size_bytes,"
        " created_at) values (gen_random_uuid(), %s, 'n', 'p', 't', %s, 1, now())",
        (owner, named),
    )
    assert retention.delete_unused_artifacts(days=30) == 0
    result = store(tenant("bob").pk, b"result")
    submit_job({"type": "chat", "input": "hello"}, owner="bob")
    execute("update job set created_at = now() - interval '50 days'")
    assert retention.delete_unused_artifacts(days=30) == 0
    assert set(Artifact.objects.values_list("sha256", flat=True)) == {young, named, result}
