"""Hostile bodies, and errors in plain English at any depth."""

import contextlib
import json
import time
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidRequest, MalformedBody
from jobs.planner.request import parse_job_request, parse_json
from jobs.planner.strict_json import parse_as

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def depth(value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def said_of(body: bytes) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(body)
    return refused.value.detail


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_all_plain_json_is_read_as_the_standard_library_reads_it(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_json(body) == json.loads(body)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_depth_is_counted_in_brackets_outside_strings(value):
    body = json.dumps([value]).encode()
    parse_json(body, max_depth=depth([value]))
    with pytest.raises(MalformedBody, match="nested deeper"):
        parse_json(body, max_depth=depth([value]) - 1)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.text('[]{},:"\\u0d8 1e-.', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_and_nothing_else(body):
    for read in (parse_json, parse_job_request):
        with contextlib.suppress(InvalidRequest):
            read(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"chat","input":"' + b'\\"' * 500_000,
        b'{"type":"chat","input":"' + b"\\\\" * 500_000,
        b'{"type":"chat","input":"' + b"\\\\u0000" * 150_000 + b'"}',
        b'{"type":"chat","parameters":{"a":' + b"9" * 1_000_000,
        b'{"type":"chat","parameters":{"a":[' + b"[]," * 300_000,
        b'{"type":"chat","parameters":{' + b'"a":{},' * 140_000,
        b'{"type":"chat",' + b'"input":"x",' * 80_000 + b'"input":"x"}',
    ],
    ids=["quotes", "backslashes", "NULs as text", "digits", "lists", "objects", "repeated keys"],
)
def test_a_mebibyte_made_to_be_slow_is_answered_at_once(body):
    started = time.process_time()
    with pytest.raises(InvalidRequest):
        parse_job_request(body + b"\xff")
    with pytest.raises(InvalidRequest):
        parse_job_request(body + b"}")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x00{\x00}", "NUL"),
        ('{"type":"chat"}'.encode("utf-16-le"), "NUL"),
        (b'{"type":"chat","input":"\xed\xa0\x80"}', "not UTF-8 at byte 24"),
        (b'{"type":"chat","input":"\xc0\x80"}', "not UTF-8"),
        (b'{"type":"chat","t\\u0079pe":"batch"}', "'type' is there twice"),
        (b'{"type":"chat","labels":{"\\udc00":"y"}}', "surrogate"),
        (b'{"type":"chat","input":"\\ud800"}', "surrogate"),
        (b'{"type":"chat","parameters":{"a":1e400}}', "64 bits"),
        (b'{"type":"chat","parameters":{"a":' + b"9" * 5_000 + b"}}", "64 bits"),
        (b'{"type":"chat","parameters":{"a":9223372036854775808}}', "9223372036854775808"),
        (b'{"type":"chat","parameters":{"a":[-9223372036854775809]}}', "64 bits"),
        (b'{"type":"chat","deadline_seconds":NaN}', "not JSON"),
        (b'{"type":"chat","input":"a\tb"}', "not JSON"),
        (b"null", "must be an object, not null"),
        (b"{}{}", "type: is missing"),
        (b'{"type":"chat"} {', "not JSON"),
        (b"{'type':'chat'}", "not JSON"),
        (b'{"type":"chat","parameters":' + b"[" * 100_000, "parameters: must be an object"),
        (b'{"type":"chat","parameters":{"a":' + b"[" * 100_000, "nested deeper"),
        (b'{"type":"chat","parameters":' + b'{"a":' * 32 + b"1" + b"}" * 33, "nested deeper"),
    ],
)
def test_a_hostile_body_is_refused_with_its_cause(body, said):
    assert said in said_of(body)


def test_thirty_two_levels_are_allowed():
    parse_job_request(b'{"type":"chat","parameters":' + b'{"a":' * 31 + b"1" + b"}" * 32)


def test_the_largest_and_smallest_integers_are_kept():
    body = b"[9223372036854775807,-9223372036854775808,12345678901234567890.5,1e19]"
    assert parse_json(body)[:2] == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"budget": {"limit_usd": "1"}}, "budget.limit_usd", "must be a number, not text"),
        ({"budget": [1]}, "budget", "must be an object, not a list"),
        ({"input": None, "labels": []}, "labels", "must be an object, not a list"),
        ({"labels": {"a": "x" * 256}}, "labels[...]", "must have at most 255 characters"),
        ({"labels": {"": "x"}}, "labels", "each key must not be empty"),
        ({"labels": {"k" * 64: "x"}}, "labels", "each key must have at most 63 characters"),
        ({"max_attempts": True}, "max_attempts", "must be a whole number, not true or false"),
        ({"max_parallelism": 1_000_001}, "max_parallelism", "must be at most 1,000,000"),
        ({"documents": "a"}, "documents", "must be a list, not text"),
        ({"documents": [{"text": 1}]}, "documents[0].text", "must be text, not a whole number"),
        (
            {"documents": [{"text": "a", "txt": "b"}]},
            "documents[0].txt",
            "is not a known field; did you mean text? known are: id, metadata, text",
        ),
        (
            {"tasks": [{"name": "a", "kind": "echo", "need": []}]},
            "tasks[0].need",
            "is not a known field; did you mean needs? known are: "
            "collects, input, kind, model, name, needs, parameters",
        ),
        ({"requests": [{"custom_id": "a", "body": 1}]}, "requests[0].body", "must be an object"),
        ({"requests": [{"custom_id": "a"}] * 50_001}, "requests", "at most 50,000 entries"),
        ({"input": "x" * 1_000_001}, "input", "must have at most 1,000,000 characters"),
    ],
)
def test_a_wrong_field_is_said_in_plain_english(value, field, message):
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(json.dumps({"type": "chat", **value}).encode())
    assert [error.field for error in refused.value.fields] == [field]
    assert message in refused.value.fields[0].message
    assert "`" not in refused.value.detail


class Inner(msgspec.Struct):
    mode: Literal["fast", "slow"]


class Outer(msgspec.Struct):
    entries: dict[str, list[Inner | None]]


def test_known_values_are_listed_at_any_depth():
    with pytest.raises(InvalidRequest) as refused:
        parse_as(b'{"entries":{"a":[null,{"mode":"quick"}]}}', Outer)
    assert refused.value.fields[0].message == "'quick' is not known; use one of: fast, slow"
    assert refused.value.fields[0].field == "entries[...][1].mode"
