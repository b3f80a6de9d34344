"""Reports for people: complete, escaped, and readable without script or network."""

import re

import pytest

from jobs.queries.rendering.html import render_html
from jobs.queries.rendering.markdown import render_markdown
from jobs.queries.rendering.words import confidence, dollars, duration, percent

EVIL = "<script>alert(1)</script> [x](javascript:1) | `a` \n# heading &amp;"


def report(**more):
    counts = {"blocked": 0, "queued": 0, "running": 0, "dead_lettered": 0, "cancelled": 0}
    return {
        "job": "job-7",
        "type": "analyze",
        "status": "Succeeded",
        "complete": True,
        "generated_at": "2026-11-23T09:30:00.000Z",
        "summary": "2 causes explain 9 of 10 documents.",
        "input": "Why?",
        "documents": 10,
        "plan": {},
        "policy": "enterprise-default@1",
        "usage": {"input_tokens": 41_220, "output_tokens": 1_912},
        "cost_usd": 0.0213,
        "budget": {"limit_usd": 2.0, "settled_usd": 0.02, "reserved_usd": 0, "expected_usd": None},
        "duration_seconds": 41.0,
        "progress": {"total": 26, "succeeded": 26, **counts},
        "stages": [],
        "failures": [],
        "causes": [cause(1, 6), cause(2, 3)],
        "unexplained": {"documents": 1, "document_ids": ["t-10"]},
        "method": {"embedding_model": "minilm-l6-v2", "clusters_considered": 7, "score": 0.31},
        **more,
    }


def cause(rank, size, title="Password reset mail never arrives"):
    return {
        "rank": rank,
        "title": title,
        "explanation": "Reset mails are never delivered.",
        "keywords": ["reset", "mail"],
        "labelled_by": "smollm2-135m",
        "documents": size,
        "share": size / 10,
        "confidence": 0.91,
        "evidence": [{"id": "t-1", "text": "No reset mail.", "score": 0.94}],
        "document_ids": [f"t-{n}" for n in range(size)],
    }


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_report_shows_causes_shares_evidence_and_cost(render):
    text = render(report())
    for piece in ("2 causes in 10 documents", "Password reset", "60.0", "t-1", "t-10", "$0.02"):
        assert piece in text


def test_the_page_has_no_script_and_no_address_outside_itself():
    page = render_html(report(causes=[cause(1, 9, EVIL)], summary=EVIL))
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "default-src &#x27;none&#x27;" in page


def test_what_models_say_is_escaped_in_the_page():
    page = render_html(report(type="chat", answer=EVIL, causes=None, unexplained=None))
    assert "&lt;script&gt;" in page


def test_what_models_say_is_escaped_in_markdown():
    text = render_markdown(report(summary=EVIL))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "[x](" not in text
    assert "\n# heading" not in text


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_report_of_a_running_job_says_that_it_is_incomplete(render):
    so_far = [{"title": "Reset", "explanation": "", "keywords": ["a"], "labelled_by": "m"}]
    text = render(
        report(complete=False, status="Running", causes=so_far, unexplained=None, method=None)
    )
    assert "ncomplete" in text
    assert "Causes so far" in text


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_failures_come_with_code_and_message(render):
    failed = [{"task": "job-7-3", "code": "timeout", "message": "took too long"}]
    text = render(report(failures=failed, outputs=[output()], evidence=[piece()]))
    assert "job-7-3" in text
    assert "took too long" in text


def output():
    return {"task": "job-7-1", "name": "a", "kind": "echo", "status": "Succeeded", "result": [1]}


def piece():
    return {"task": "job-7-1", "document_ids": ["t-1"], "text": "The mail is late."}


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (0.0213, "$0.02"), (0.000123, "$0.000123"), (1e-9, "< $0.000001"), (None, "–")],
)
def test_small_sums_do_not_read_as_nothing(amount, text):
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.25, "4.2 s"), (41, "41 s"), (843, "14 min 03 s"), (9660, "2 h 41 min")]
)
def test_durations_have_two_units(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.91, "0.91, high"), (0.8, "0.80, good"), (0.1, "0.10, fair"), (None, "–")]
)
def test_confidence_is_a_number_and_a_word(value, text):
    assert confidence(value) == text


def test_percent_has_one_decimal():
    assert percent(0.914) == "91.4\u00a0%"
