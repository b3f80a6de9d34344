import json
import time

import pytest

from jobs.errors import InvalidRequest, MalformedBody
from jobs.planner.request import parse_job_request, parse_json


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00", "byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": "\x00"}', "NUL"),
        (b'["\\\\\\u0000"]', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b"[NaN]", "not JSON"),
        (b"[-Infinity]", "not JSON"),
        (b"[01]", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": 1,', "not JSON"),
        (b'"open', "not JSON"),
        (b'"open\\', "not JSON"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[-9223372036854775809]", "64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'{"a": {"b": [1, {"c": 2}]}, "x": 0, "\\u0061": 2}', "'a' is there twice"),
        (b"[" * 33 + b"]" * 33, "32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "32 levels"),
        (b"[" * 100_000, "32 levels"),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused_with_the_cause(body, said):
    with pytest.raises(MalformedBody) as refused:
        parse_json(body)
    assert said in refused.value.detail


@pytest.mark.parametrize(
    "value",
    [
        9223372036854775807,
        -9223372036854775808,
        0.12345678901234567890123,
        1e25,
        "99999999999999999999999",
        "[" * 100 + '"' + "\\" * 7,
        "{{{{:::}",
        "\\u0000 written out",
        "\U0001f600",
        {"a": {"a": 1}, "b": [{"a": ":"}]},
        [[]] * 50,
    ],
)
def test_unusual_but_correct_json_is_read_as_it_is(value):
    assert parse_json(json.dumps({"value": value}).encode()) == {"value": value}


def test_a_pair_of_surrogate_escapes_is_one_character():
    assert parse_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize("unit", [b'\\"', b'"', b"\\", b'"\\', b"[]", b"{}", b'"a" ', b"9", b" "])
def test_a_mebibyte_of_hostile_bytes_is_answered_quickly(unit):
    body = b"[" + unit * (2**20 // len(unit))
    started = time.process_time()
    with pytest.raises(InvalidRequest):
        parse_json(body)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ([], "body", "must be an object, not a list"),
        ({}, "type", "missing"),
        ({"type": "dance"}, "type", "analyze, batch, chat, embed, pipeline"),
        ({"type": "chat", "priority": "urgent"}, "priority", "batch, interactive, standard"),
        ({"type": "chat", "inputs": "x"}, "inputs", "did you mean input?"),
        ({"type": "chat", "zzz": "x"}, "zzz", "known are: budget"),
        ({"type": "chat", "input": 3}, "input", "must be text, not a whole number"),
        ({"type": "chat", "budget": {"limit_usd": 0}}, "budget.limit_usd", "must be more than 0"),
        ({"type": "chat", "budget": {"limit": 1}}, "budget.limit", "not a known field"),
        ({"type": "chat", "max_attempts": 0}, "max_attempts", "must be at least 1"),
        ({"type": "chat", "max_attempts": 1.5}, "max_attempts", "must be a whole number"),
        ({"type": "chat", "max_failed_percent": 101}, "max_failed_percent", "must be at most 100"),
        ({"type": "chat", "deadline_seconds": 0}, "deadline_seconds", "must be more than 0"),
        ({"type": "batch", "requests": [{}]}, "requests[0].custom_id", "missing"),
        (
            {"type": "batch", "requests": [{"custom_id": ""}]},
            "requests[0].custom_id",
            "must not be empty",
        ),
        ({"type": "pipeline", "tasks": [{"name": "a"}]}, "tasks[0].kind", "missing"),
        ({"type": "chat", "documents": [3]}, "documents[0]", "must be text or an object"),
        (
            {"type": "chat", "documents": [{"text": "a", "id": ""}]},
            "documents[0].id",
            "must not be empty",
        ),
        ({"type": "chat", "documents": ["a"] * 10_001}, "documents", "at most 10,000 entries"),
        ({"type": "chat", "labels": {"a": 1}}, "labels[...]", "must be text, not a whole number"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_write(body, field, said):
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(json.dumps(body).encode())
    assert [error.field for error in refused.value.fields] == [field]
    assert said in refused.value.fields[0].message


def test_a_job_request_has_the_documented_defaults():
    request = parse_job_request(b'{"type": "chat", "input": "why?"}')
    assert (request.policy, request.priority, request.tenant) == (
        "enterprise-default",
        "standard",
        None,
    )
