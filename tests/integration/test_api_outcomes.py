"""What a job found, over REST: results, reports, failures, progress and explanations."""

import hashlib
import json
import re

import pytest
from django.db import OperationalError
from django.utils import timezone

from jobs.api import shapes, streams
from jobs.models import Artifact, ArtifactChunk, Task
from jobs.queries.results import result_lines
from tests.integration.gateway import Gateway, checked, pipeline
from tests.integration.scenario import register

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def hand():
    return register()


def work_through(hand, results=None, failing=()):
    """Run everything there is; `results` by kind or name, the named ones fail for good."""
    while tasks := hand.claim(want=16):
        hand.fail([task for task in tasks if task.name in failing])
        for task in tasks:
            if task.name not in failing:
                default = {"said": task.name}
                value = (results or {}).get(task.name, (results or {}).get(task.kind, default))
                hand.succeed([task], value)


def lines(gateway, job):
    response = gateway.get(f"/v1/jobs/{job['id']}/results")
    return [json.loads(line) for line in response.getvalue().splitlines()]


def test_results_that_break_off_end_with_a_line_that_says_so(gateway, hand, monkeypatch):
    def breaks(job):
        yield from result_lines(job)
        raise OperationalError("no connection")

    job = gateway.submit(**pipeline("a"))
    work_through(hand)
    monkeypatch.setattr("jobs.api.report.result_lines", breaks)
    assert gateway.get(f"/v1/jobs/{job['id']}/results").status_code == 503
    monkeypatch.setattr(streams, "WHOLE_BYTES", 0)
    first, last = lines(gateway, job)
    assert first["name"] == "a"
    assert last == {"error": {"code": "unavailable", "message": streams.CUT}}


def test_a_running_task_shows_its_worker_and_its_open_attempt(gateway, hand):
    job = gateway.submit(**pipeline("a", "b"))
    hand.claim(want=1)
    shown = checked(gateway.get(f"/v1/jobs/{job['id']}"), shapes.Job)
    assert (shown["progress"]["running"], shown["progress"]["queued"]) == (1, 1)
    assert shown["stages"][0]["running"] == 1
    address = f"/v1/jobs/{job['id']}/tasks"
    (running,) = gateway.get(f"{address}?status=Running&worker=alice").json()["items"]
    task = checked(gateway.get(f"{address}/{running['id']}"), shapes.TaskDetail)
    assert task["worker"] == "alice"
    assert [(each["number"], each["outcome"]) for each in task["attempts"]] == [(1, None)]


def test_an_ended_task_shows_its_result_and_attempts(gateway, hand):
    job = gateway.submit(**pipeline("a"))
    work_through(hand)
    task = checked(gateway.get(f"/v1/jobs/{job['id']}/tasks/{job['id']}-1"), shapes.TaskDetail)
    assert task["result"] == {"said": "a"}
    assert [each["outcome"] for each in task["attempts"]] == ["Succeeded"]
    assert task["attempts"][0]["worker"] == "alice"


def test_results_hold_values_and_errors_in_input_order(gateway, hand):
    job = gateway.submit(**pipeline("a", "b", "c"))
    work_through(hand, failing=("b",))
    told = lines(gateway, job)
    assert [line["status"] for line in told] == ["Succeeded", "DeadLettered", "Succeeded"]
    assert told[0]["result"] == {"said": "a"}
    assert told[1]["error"]["code"] == "broken"


def test_a_large_result_is_put_in_from_its_artifact(gateway, hand):
    job = gateway.submit(**pipeline("a"))
    work_through(hand)
    content = b'{\n  "long": "' + b"x" * 300_000 + b'"\n}'
    digest = hashlib.sha256(content).hexdigest()
    task = Task.objects.get()
    Artifact.objects.create(
        tenant_id=task.tenant_id,
        sha256=digest,
        size_bytes=len(content),
        media_type="application/json",
        created_at=timezone.now(),
    )
    for number, start in enumerate(range(0, len(content), 262_144)):
        ArtifactChunk.objects.create(
            tenant_id=task.tenant_id,
            sha256=digest,
            number=number,
            data=content[start : start + 262_144],
        )
    Task.objects.update(result=None, result_sha256=digest)
    assert lines(gateway, job)[0]["result"] == {"long": "x" * 300_000}
    read = gateway.get(f"/v1/jobs/{job['id']}/tasks/{job['id']}-1/artifact")
    assert b"".join(read) == content


def test_a_pipelines_report_holds_the_results_of_its_final_tasks(gateway, hand):
    tasks = [{"name": "a", "kind": "echo"}, {"name": "b", "kind": "echo", "needs": ["a"]}]
    job = gateway.submit(type="pipeline", tasks=tasks)
    work_through(hand)
    report = checked(gateway.get(f"/v1/jobs/{job['id']}/report"), shapes.Report)
    assert report["complete"]
    assert [(each["name"], each["result"]) for each in report["outputs"]] == [("b", {"said": "b"})]


def test_a_report_lists_what_failed_with_its_cause(gateway, hand):
    job = gateway.submit(**pipeline("a", "b"))
    work_through(hand, failing=("b",))
    report = checked(gateway.get(f"/v1/jobs/{job['id']}/report"), shapes.Report)
    assert report["status"] == "PartiallySucceeded"
    assert [failure["code"] for failure in report["failures"]] == ["broken"]


def test_a_chat_without_documents_answers_and_says_how_to_send_some(gateway, hand):
    job = gateway.submit(type="chat", input="hello")
    work_through(hand, {"chat": {"text": "<b>hi</b>", "model": "smollm2-135m"}})
    report = checked(gateway.get(f"/v1/jobs/{job['id']}/report"), shapes.Report)
    assert (report["answer"], report["model"]) == ("<b>hi</b>", "smollm2-135m")
    assert "file_id" in report["note"]
    page = gateway.get(f"/v1/jobs/{job['id']}/report?format=html")
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert b"<b>hi" not in page.content


def test_a_chat_with_documents_cites_them(gateway, hand):
    documents = [{"id": "t-1", "text": "late mail"}, {"id": "t-2", "text": "lost mail"}]
    job = gateway.submit(type="chat", input="why?", documents=documents)
    said = {"text": "The mail is slow.", "model": "smollm2-135m"}
    work_through(hand, {"chat": said, "reduce": said})
    report = checked(gateway.get(f"/v1/jobs/{job['id']}/report"), shapes.Report)
    assert report["answer"] == "The mail is slow."
    assert sorted(i for each in report["evidence"] for i in each["document_ids"]) == ["t-1", "t-2"]


def test_an_analysis_that_still_runs_reports_that_it_is_incomplete(gateway):
    job = gateway.submit(type="analyze", input="why?", documents=["a", "b"])
    address = f"/v1/jobs/{job['id']}/report"
    report = checked(gateway.get(address), shapes.Report)
    assert (report["complete"], report["causes"]) == (False, [])
    assert "ncomplete" in report["summary"]
    text = gateway.get(f"{address}?format=markdown")
    assert text["Content-Type"] == "text/markdown; charset=utf-8"
    assert "Incomplete" in text.content.decode()


def test_an_unknown_report_format_is_400(gateway):
    job = gateway.submit()
    assert gateway.get(f"/v1/jobs/{job['id']}/report?format=pdf").status_code == 400


def test_a_retry_reopens_dead_letters_and_the_explanation_offers_it(gateway, hand):
    job = gateway.submit(**pipeline("a", "b"))
    work_through(hand, failing=("b",))
    address = f"/v1/jobs/{job['id']}"
    told = checked(gateway.get(f"{address}/explain"), shapes.Explanation)
    assert "retry" in told["helps"][0]["change"]
    retried = checked(gateway.post(f"{address}/retry"), shapes.Retried)
    assert retried["reopened"] == 1
    assert retried["job"]["generation"] == 2


def test_the_reason_follows_what_the_job_waits_for(gateway, hand):
    job = gateway.submit(**pipeline("a", "b"))
    address = f"/v1/jobs/{job['id']}"
    hand.claim(want=1)
    assert gateway.get(address).json()["reason"] == "Running"
    gateway.post(f"{address}/suspend")
    assert gateway.get(f"{address}/explain").json()["reason"] == "Suspended"


def test_a_job_whose_tasks_no_agent_can_run_says_so(gateway):
    register(kinds=("chat",))
    job = gateway.submit()
    assert gateway.get(f"/v1/jobs/{job['id']}").json()["reason"] == "NoMatchingWorker"


def test_the_eta_comes_from_twenty_ended_tasks_on(gateway, hand):
    job = gateway.submit(**pipeline(*(f"t{n}" for n in range(40))))
    hand.succeed(hand.claim(want=16))
    assert gateway.get(f"/v1/jobs/{job['id']}").json()["progress"]["eta_seconds"] is None
    hand.succeed(hand.claim(want=16))
    progress = gateway.get(f"/v1/jobs/{job['id']}").json()["progress"]
    assert progress["percent"] == 80.0
    assert progress["eta_seconds"] is not None


def test_ids_in_answers_are_plain_ascii_names(gateway):
    job = gateway.submit()
    assert re.fullmatch(r"job-\d+", job["id"])
