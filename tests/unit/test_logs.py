"""What callers send cannot make up a line of the log, nor steer the terminal that shows it."""

import json
import logging

import pytest

from daef_site.logs import JsonFormatter, TextFormatter, WithoutTrace

FORGED = "2026-11-25 00:00:00,000 ERROR django.request forged"
HOSTILE = {
    "line feed": f"/v1/jobs\n{FORGED}",
    "carriage return": f"/v1/jobs\r{FORGED}",
    "both": f"/v1/jobs\r\n{FORGED}",
    "line separator": f"/v1/jobs\u2028{FORGED}",
    "next line": f"/v1/jobs\x85{FORGED}",
    "form feed": f"/v1/jobs\x0c{FORGED}",
    "escape sequence": "\x1b[2J\x1b[31mred",
    "backspaces": "good\x08\x08\x08\x08evil",
    "NUL": "a\x00b",
    "half a character": "a\ud800b",
}


def record(message, error=None):
    trace = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("django.request", logging.ERROR, "x.py", 1, message, None, trace)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_message_is_one_plain_line(text):
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record(text))
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        line.encode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_text_of_an_error_is_indented_or_spelt_out(text):
    told = record("failed", ValueError(text))
    first, *others = TextFormatter().format(told).splitlines()
    assert first.endswith("failed")
    assert others
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert text.partition("\ud800")[0][:1] in json.loads(JsonFormatter().format(told))["error"]


def test_a_refused_host_is_one_line():
    told = record("Invalid HTTP_HOST header", ValueError("x"))
    assert WithoutTrace().filter(told)
    assert len(TextFormatter().format(told).splitlines()) == 1
