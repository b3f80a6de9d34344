"""What people see: bars, notes, troubles, reports, figures."""

import io
import re

import pytest
from rich.console import Console

from client.terminal import words
from client.terminal.bars import (
    Clock,
    change_line,
    end_line,
    stage_lines,
    total_line,
    trouble_lines,
)
from client.terminal.report import eighths, report_lines
from client.terminal.tables import explanation_lines
from client.terminal.watch import LinePace, watch
from tests.unit.client_door import job, stage

LABEL_LATER = {**stage("label"), "planned_min": 8, "planned_max": 16}


def lines_of(found, width=92):
    clock = Clock()
    clock.look(found)
    return [line.plain for line in stage_lines(found, clock, width)]


def test_a_stage_shows_bar_count_and_what_runs():
    found = job("Running", stage("embed", 200, running=16, queued=56, succeeded=128))
    (line,) = lines_of(found)
    assert line.startswith("embed     " + "━" * 19 + "─" * 11 + "  128/200")
    assert "16 running · 56 queued" in line


def test_later_stages_say_what_they_wait_for():
    found = job(
        "Running",
        stage("embed", 2, running=2),
        stage("cluster", 1, blocked=1),
        LABEL_LATER,
        stage("report", 1, blocked=1),
    )
    _, cluster, label, report = lines_of(found)
    assert cluster.endswith("waits for embed")
    assert label.startswith("label     ┄┄┄")
    assert label.split()[2:] == ["8–16", "known", "after", "cluster"]
    assert report.endswith("waits for label")


def test_a_finished_cluster_stage_tells_how_many_causes_it_found():
    found = job("Running", stage("cluster", 1, succeeded=1), stage("label", 12, running=12))
    assert lines_of(found)[0].endswith("12 causes found")


def test_half_cells_show_progress_between_cells():
    (line,) = lines_of(job("Running", stage("label", 20, succeeded=13, running=2)))
    assert "━" * 19 + "╸" in line


def test_dead_letters_stand_in_the_line_of_their_stage():
    (line,) = lines_of(job("Running", stage("embed", 4, succeeded=1, dead_lettered=2, queued=1)))
    assert line.endswith("1 queued · 2 dead")


@pytest.mark.parametrize("width", [40, 60, 79, 80, 92, 200])
def test_lines_fit_the_terminal(width):
    found = job("Running", stage("a-very-long-name", 50_000, running=30_000, queued=20_000))
    (line,) = lines_of(found, width)
    assert len(line) <= min(width, 92)


def test_a_stage_shows_how_long_it_took_in_the_fabrics_time():
    clock = Clock()
    clock.look(job("Running", stage("embed", 2, running=2)))
    done = job("Running", stage("embed", 2, succeeded=2), as_of="2026-11-01T10:00:04.100Z")
    clock.look(done)
    later = {**done, "as_of": "2026-11-01T10:05:00.000Z"}
    clock.look(later)
    assert stage_lines(later, clock, 92)[0].plain.endswith("3.1 s")


def test_the_whole_shows_percent_pace_tokens_and_money():
    found = job("Running", stage("embed", 4, succeeded=2, running=2))
    found["progress"]["eta_seconds"] = 8.2
    told = "50 % · 28 a minute · ETA 8 s · 29.4 k tokens · $0.61 + $0.09 reserved of $2.00"
    assert total_line(found, 28.3).plain == " " * 10 + told


def test_waiting_tasks_point_to_explain_and_dead_ones_to_their_list():
    found = job(
        "Running",
        stage("embed", 58, queued=54, running=2, dead_lettered=2),
        reason="ParallelismReached",
        message="acme runs 16 of 16 tasks",
    )
    dead = {"error": {"code": "worker_lost", "message": "exit 137"}}
    waits, failed = (line.plain for line in trouble_lines(found, dead))
    assert waits.startswith("54 wait   ParallelismReached: acme runs 16 of 16 tasks")
    assert waits.endswith("daef explain job-1")
    assert failed.startswith("2 dead    worker_lost: exit 137")
    assert failed.endswith("daef get job-1 tasks --status DeadLettered")


def test_a_running_job_has_no_trouble_to_tell():
    assert trouble_lines(job("Running", stage("embed", 4, running=2, queued=2)), None) == []


def test_the_end_is_one_line():
    ended = job("PartiallySucceeded", stage("embed", 216, succeeded=214, dead_lettered=2))
    ended["finished_at"] = "2026-11-01T10:10:02.000Z"
    told = "Partly succeeded in 10 min 02 s · 214 of 216 tasks · 29,400 tokens · "
    assert end_line(ended).plain == told + "$0.61 + $0.09 reserved of $2.00"


def test_a_log_line_holds_everything_without_bars():
    found = job("Running", stage("embed", 4, succeeded=1, running=3), LABEL_LATER)
    assert change_line(found).startswith("Running: embed 1/4 · label 8–16 · 25 % · 29.4 k tokens")


def test_a_log_gets_a_line_per_change_but_not_too_often():
    pace = LinePace()
    first, second = (
        job("Running", stage("embed", 9, running=2, succeeded=number)) for number in (1, 2)
    )
    due = [pace.is_due(found, now) for found, now in ((first, 0), (first, 1), (second, 1.5))]
    assert due == [True, False, False]
    assert [pace.is_due(second, now) for now in (2.5, 4, 12, 13)] == [True, False, False, True]


def test_a_log_gets_a_line_at_once_when_the_status_changes():
    pace = LinePace()
    pace.is_due(job("Running"), 0)
    assert pace.is_due(job("Succeeded"), 0.1)


# ── reports ───────────────────────────────────────────────────────────────────────────────────────


def cause(rank, number, title="Reset mail", **fields):
    return {
        "rank": rank,
        "title": title,
        "documents": number,
        "share": number / 100,
        "explanation": "Mails are late.",
        "keywords": ["mail", "reset"],
        "labelled_by": "smollm2-135m",
        "evidence": [{"id": "t-1", "text": "No mail.", "score": 0.9}],
        "document_ids": [],
    } | fields


def report(*causes, **fields):
    return {
        "job": "job-1",
        "type": "analyze",
        "complete": True,
        "summary": "…",
        "causes": list(causes),
        "unexplained": {"documents": 10, "document_ids": []},
        "method": {"embedding_model": "minilm-l6-v2", "score": 0.4},
        "failures": [],
    } | fields


def told(document, details=5):
    lines = report_lines(document, noun="tickets", width=92, details=details)
    return "\n".join(line.plain for line in lines)


def test_a_report_begins_with_how_much_is_explained():
    assert told(report(cause(1, 60), cause(2, 30))).startswith(
        "2 causes explain 90 of 100 tickets (90.0 %)"
    )


def test_bars_are_relative_to_the_largest_cause():
    text = told(report(cause(1, 60), cause(2, 30)))
    assert " 1  " + "█" * 30 + "    60  60.0 %  Reset mail" in text
    assert " 2  " + "█" * 15 + " " * 15 + "    30  30.0 %  Reset mail" in text
    assert "    ▒▒▒▒▒ " in text
    assert "not explained" in text


def test_long_titles_go_on_below_themselves():
    title = "Nobody in our company can sign in through single sign-on any more since Monday"
    text = told(report(cause(1, 60, title)), details=0)
    assert " ".join(text.split()).count("through single sign-on any more since Monday") == 1
    assert max(map(len, text.splitlines())) <= 92


def test_evidence_is_quoted_with_its_id():
    assert "    t-1  “No mail.”" in told(report(cause(1, 60)))


def test_it_says_who_named_the_causes():
    text = told(report(cause(1, 60), cause(2, 30, labelled_by="keywords")))
    assert "Names by smollm2-135m; 1 of 2 fell back to keywords." in text
    assert "2 causes found by the program" in " ".join(text.split())


def test_many_causes_end_in_one_line_for_the_small_ones():
    causes = [cause(rank, 30 - rank) for rank in range(1, 20)]
    assert "4 smaller causes" in told(report(*causes), details=0)


def test_texts_cannot_steer_the_terminal():
    evil = cause(1, 60, "a\x1b]0;owned\x07b", evidence=[{"id": "x\x9b", "text": "\x1b[2J"}])
    assert not {"\x1b", "\x07", "\x9b"} & set(told(report(evil)))


def test_an_incomplete_report_says_so():
    document = report(complete=False, causes=[{"title": "Reset mail"}], unexplained=None)
    assert told(document).startswith("Incomplete")


def test_a_chat_report_is_its_answer_and_note():
    text = told({"complete": True, "summary": "s", "answer": "Forty-two.", "note": "No documents."})
    assert text.split() == ["Forty-two.", "No", "documents."]


def test_an_explanation_tells_what_helps():
    explanation = {
        "reason": "WaitingForWorkers",
        "message": "no agent is alive",
        "numbers": [{"name": "live_workers", "value": 0}],
        "helps": [{"change": "start an agent", "effect": "it takes the tasks"}],
        "helps_not": ["a higher priority"],
    }
    lines = [line.plain for line in explanation_lines(explanation)]
    assert lines[0] == "WaitingForWorkers: no agent is alive"
    assert lines[2] == "helps     start an agent → it takes the tasks"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.4, "9.4 s"), (41, "41 s"), (602, "10 min 02 s"), (9660, "2 h 41 min")],
)
def test_durations_have_two_units(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (None, "–"), (24.61, "$24.61"), (0.0031, "$0.0031"), (0.00001, "< $0.0001")],
)
def test_small_money_does_not_read_as_nothing(amount, text):
    assert words.dollars(amount) == text


@pytest.mark.parametrize(
    ("low", "high", "text"), [(35, 50, "35–50 s"), (60, 600, "60 s–10 min"), (8, 8, "8 s")]
)
def test_spans_name_a_shared_unit_once(low, high, text):
    assert words.span(low, high, words.about) == text


def test_shortened_text_ends_between_words():
    assert words.shortened("one two three four", 10) == "one two…"


def test_bars_are_drawn_to_an_eighth():
    assert (eighths(1), eighths(0), len(eighths(61 / 74))) == ("█" * 30, "▏", 25)


# ── on a terminal ─────────────────────────────────────────────────────────────────────────────────


class Recorded:
    """Stands for a client whose job is what the test lists."""

    def __init__(self, *found) -> None:
        self.jobs = self
        self._found = list(found)

    def get(self, _job):
        return self._found.pop(0)


def terminal(**environment):
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=92,
        legacy_windows=False,
        _environ=environment,
    )


def watched(console):
    ended = job("Succeeded", stage("embed", 2, succeeded=2))
    ended["finished_at"] = "2026-11-01T10:00:03.000Z"
    running = job("Running", stage("embed", 2, running=2))
    watch(Recorded(running, ended), "job-1", console)  # type: ignore[arg-type]  # has all that is watched
    return console.file.getvalue()


def test_bars_are_redrawn_on_a_terminal(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    shown = watched(terminal(TERM="xterm-256color"))
    assert "━━━━" in shown
    assert "\x1b[2K" in shown
    assert "Succeeded" in shown


def test_no_color_loses_no_word(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    shown = watched(terminal(TERM="xterm-256color", NO_COLOR="1"))
    assert "━━━━" in shown
    assert not re.search(r"\x1b\[[\d;]*(3[0-7]|9[0-7])m", shown)


@pytest.mark.parametrize("reason", ["dumb", "ci"])
def test_dumb_terminals_and_ci_get_lines(monkeypatch, reason):
    monkeypatch.delenv("CI", raising=False)
    if reason == "ci":
        monkeypatch.setenv("CI", "true")
    shown = watched(terminal(TERM="dumb" if reason == "dumb" else "xterm-256color"))
    assert "━" not in shown
    assert "Running: embed 0/2" in shown
