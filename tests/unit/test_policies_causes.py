"""What tells the causes of dead letters apart, and what is said of each."""

import re
import time

import pytest

from jobs.policies import causes
from tests.architecture.source import ROOT

NEVER_BURIED = {"dependency_failed", "cancelled", "job_failed", "error_invalid", "test_attempt"}
"""Codes of tasks that do not become dead letters, and of kinds for tests."""


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("The endpoint did not answer within 31.5 s.", "The endpoint did not answer within # s."),
        ("documents[3].id: must be a string.", "documents[#].id: must be a string."),
        ("job-1-77 took 5,000 ms\n\tat 10:30:00", "job-#-# took # ms at #"),
        ("no file “t-0332.csv” in 'folder a'", "no file … in …"),
        ("it doesn't fit, it can't", "it doesn't fit, it can't"),
        ("id 0195f2aa-1b2c-7d3e-8f90-aabbccddeeff is gone", "id # is gone"),
        ("blob 9f86d081884c7d659a2feaa0c55ad015 is gone", "blob # is gone"),
        ("minilm-l6-v2 could not be loaded.", "minilm-l6-v2 could not be loaded."),
        ("", ""),
    ],
)
def test_what_differs_from_task_to_task_is_taken_out(message, pattern):
    assert causes.pattern(message) == pattern


def test_what_can_be_an_http_status_stays():
    one, other = (f"The endpoint answered {status}." for status in (401, 503))
    assert causes.fingerprint("endpoint_failed", one) != causes.fingerprint(
        "endpoint_failed", other
    )


def test_tasks_that_died_of_the_same_have_one_fingerprint():
    one, other = (causes.fingerprint("late", f"took {n} s") for n in (31, 45))
    assert one == other
    assert re.fullmatch("[0-9a-f]{16}", one)
    assert one != causes.fingerprint("late_too", "took 31 s")


def test_a_message_of_any_length_and_kind_has_a_bounded_pattern():
    for unit in ("'", "0", "1.", "a-1", "“", " '", "-1", "\ud800", "0195f2aa-"):
        began = time.monotonic()
        assert len(causes.pattern(unit * 2000)) <= causes.PATTERN_CHARACTERS
        assert causes.fingerprint("code", unit * 2000)
        assert time.monotonic() - began < 2


def test_every_code_of_a_dead_letter_has_its_advice_and_no_other():
    page = (ROOT / "docs" / "reference" / "task-errors.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE)
    listed = {code for cell in cells for code in re.findall("`([^`]+)`", cell)}
    assert set(causes.ADVICE) == listed - NEVER_BURIED


def test_an_unknown_code_is_not_left_without_advice():
    assert causes.advice("of_somebodys_own") == causes.DEFAULT_ADVICE
    assert causes.advice("endpoint_auth") != causes.DEFAULT_ADVICE
