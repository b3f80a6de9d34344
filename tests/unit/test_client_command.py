"""The ``daef`` command: what it sends, what it prints, how it ends."""

import hashlib
import json

import pytest

from client.cli import main, parser
from client.commands.submit import body
from tests.unit.client_door import Answer, Door, job, problem, stage


@pytest.fixture
def door(monkeypatch):
    door = Door()
    monkeypatch.setenv("DAEF_URL", door.url)
    monkeypatch.delenv("DAEF_TOKEN", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    yield door
    door.close()


def ended(status):
    finished = "2026-11-01T10:00:41.000Z"
    return job(status, stage("answer", 1, succeeded=1), finished_at=finished)


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [("Succeeded", 0), ("PartiallySucceeded", 3), ("Failed", 4), ("Cancelled", 5)],
)
def test_watch_ends_with_the_jobs_own_status(door, capsys, status, exit_status):
    door.tell("/v1/jobs/job-1", Answer(job()), Answer(ended(status)))
    assert main(["watch", "job-1"]) == exit_status
    output = capsys.readouterr().out
    assert "Ctrl-C stops watching, not the job." in output
    assert "report    daef report job-1" in output


def test_a_log_bears_no_bars_and_no_escapes(door, capsys):
    door.tell("/v1/jobs/job-1", Answer(job()), Answer(ended("Succeeded")))
    main(["watch", "job-1"])
    assert not {"\x1b", "━"} & set(capsys.readouterr().out)


def test_watching_as_json_prints_a_line_per_change(door, capsys):
    running = Answer(job())
    door.tell("/v1/jobs/job-1", running, running, Answer(ended("Failed")))
    assert main(["watch", "job-1", "--json"]) == 4
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == ["Running", "Failed"]


def test_submit_sends_documents_of_a_csv(door, tmp_path, capsys):
    path = tmp_path / "tickets.csv"
    path.write_text("id,body\nt-1,No mail.\n")
    door.tell("/v1/jobs", Answer(job(), 201))
    arguments = ["--type", "analyze", "--input", "Why?", "--documents", str(path)]
    assert main(["submit", *arguments, "--text-column", "body", "--key", "k-1"]) == 0
    assert door.requests[0].json["documents"] == [{"id": "t-1", "text": "No mail."}]
    assert door.requests[0].headers["idempotency-key"] == "k-1"
    assert "daef watch job-1" in capsys.readouterr().out


def test_documents_that_are_too_large_go_through_files(door, tmp_path):
    path = tmp_path / "big.jsonl"
    path.write_text("".join(json.dumps("x" * 10_000) + "\n" for _ in range(120)))
    door.tell("/v1/files", Answer({"items": []}), Answer({"id": "file-7"}, 201))
    door.tell("/v1/jobs", Answer(job(), 201))
    main(["submit", "--type", "embed", "--documents", str(path)])
    _, upload, submit = door.requests
    assert upload.body.count(b'{"id": "doc-') == 120
    assert submit.json == {"type": "embed", "file_id": "file-7"}


def test_large_documents_that_are_stored_already_are_not_sent_again(door, tmp_path):
    path = tmp_path / "big.jsonl"
    path.write_text("".join(json.dumps("x" * 10_000) + "\n" for _ in range(120)))
    lines = [{"id": f"doc-{number}", "text": "x" * 10_000} for number in range(1, 121)]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    digest = hashlib.sha256(content.encode()).hexdigest()
    stored = {"id": "file-3", "sha256": digest, "tenant": "default"}
    door.tell("/v1/files", Answer({"items": [stored | {"id": "file-2", "tenant": "acme"}, stored]}))
    door.tell("/v1/jobs", Answer(job(), 201))
    main(["submit", "--type", "embed", "--documents", str(path)])
    assert [request.method for request in door.requests] == ["GET", "POST"]
    assert door.requests[1].json["file_id"] == "file-3"


def test_a_dry_run_shows_the_plan(door, capsys):
    plan = {
        "dry_run": True,
        "plan_hash": "5c1ea904",
        "type": "analyze",
        "tenant": "default",
        "policy": "enterprise-default@1",
        "pool": "default",
        "tasks": 12,
        "stages": [
            {"name": "embed", "planned_min": 10, "planned_max": 10},
            {"name": "label", "planned_min": 0, "planned_max": 40},
        ],
        "models": ["minilm-l6-v2"],
        "estimate": {
            "input_tokens": 43_000,
            "output_tokens": 500,
            "cost_low_usd": 0.88,
            "cost_expected_usd": 0.9,
            "cost_high_usd": 1.02,
            "seconds_low": 35,
            "seconds_high": 50,
        },
        "limit_usd": 2.0,
    }
    door.tell("/v1/jobs", Answer(plan))
    assert main(["submit", "--type", "analyze", "--input", "Why?", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "up to 40 more later · about 43.5 k tokens · $0.88–$1.02 of $2.00 · 35–50 s" in output
    assert "hash      5c1ea904" in output
    assert door.requests[0].path == "/v1/jobs?dry_run=true"


def test_options_win_over_the_document(tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{"type": "chat", "input": "hi", "labels": {"a": "1"}, "priority": "batch"}')
    options = ["submit", "-f", str(path), "--priority", "interactive", "--label", "b=2"]
    options += ["--limit-usd", "2", "--parameter", "n=3", "--parameter", "s=three"]
    assert body(parser().parse_args(options)) == {
        "type": "chat",
        "input": "hi",
        "labels": {"a": "1", "b": "2"},
        "priority": "interactive",
        "budget": {"limit_usd": 2.0},
        "parameters": {"n": 3, "s": "three"},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--input", "what type?"],
        ["submit", "-f", "/does/not/exist.json"],
        ["submit", "--type", "chat", "--label", "no-value"],
        ["submit", "--type", "embed", "--documents", "/does/not/exist.csv"],
        ["get", "jobs", "tasks"],
    ],
)
def test_wrong_usage_ends_with_two_and_sends_nothing(door, capsys, arguments):
    assert main(arguments) == 2
    assert door.requests == []
    assert capsys.readouterr().err.startswith("daef: ")


def test_a_refused_field_ends_with_two_and_is_named(door, capsys):
    door.tell("/v1/jobs", problem(400, "invalid_request", "No.", fields=[("model", "unknown")]))
    assert main(["submit", "--type", "chat", "--input", "hi"]) == 2
    error = capsys.readouterr().err
    assert "model: unknown" in error
    assert "request r-1, status 400 invalid_request" in error


def test_an_unknown_job_ends_with_one(door, capsys):
    assert main(["get", "job-9"]) == 1
    assert "There is no such object." in capsys.readouterr().err


def test_an_interrupted_watch_says_that_the_job_goes_on(door, capsys, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    door.tell("/v1/jobs/job-1", Answer(job()))
    monkeypatch.setattr("client.terminal.watch.time.sleep", interrupt)
    assert main(["watch", "job-1"]) == 130
    assert "job-1 goes on; daef watch job-1 looks again" in capsys.readouterr().out


def test_get_lists_jobs(door, capsys):
    page = {"items": [job()], "total": 9, "limit": 1, "offset": 0}
    door.tell("/v1/jobs", Answer(page))
    assert main(["get", "jobs", "--status", "Running", "--limit", "1"]) == 0
    output = capsys.readouterr().out
    assert "job-1" in output
    assert "jobs 1–1 of 9; more with --offset" in output
    assert door.requests[0].path == "/v1/jobs?status=Running&limit=1"


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_rendered_report_is_printed_as_it_comes(door, capsys, form):
    door.tell("/v1/jobs/job-1/report", Answer("# Report\n"))
    assert main(["report", "job-1", "--format", form]) == 0
    assert capsys.readouterr().out == "# Report\n"
    assert door.requests[0].path.endswith(f"format={form}")


def test_retry_says_how_many_tasks_are_queued_again(door, capsys):
    door.tell("/v1/jobs/job-1/retry", Answer({"job": job(), "reopened": 2}))
    assert main(["retry", "job-1"]) == 0
    assert "job-1: 2 tasks queued again" in capsys.readouterr().out


def test_the_token_may_come_from_a_file_and_is_never_printed(door, capsys, tmp_path):
    path = tmp_path / "token"
    path.write_text("sesame\n")
    assert main(["get", "job-9", "--token-file", str(path)]) == 1
    assert door.requests[0].headers["authorization"] == "Bearer sesame"
    captured = capsys.readouterr()
    assert "sesame" not in captured.out + captured.err


@pytest.mark.parametrize("place", [0, 1])
def test_the_address_counts_before_and_after_the_command(door, monkeypatch, capsys, place):
    monkeypatch.delenv("DAEF_URL")
    door.tell("/v1/jobs/job-1", Answer(ended("Succeeded")))
    arguments = ["get", "job-1"]
    arguments[place:place] = ["--url", door.url]
    assert main(arguments) == 0
    assert "job-1" in capsys.readouterr().out
