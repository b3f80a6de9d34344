"""What agents send is input like any other; what they are sent fits into a message."""

import pytest

from jobs.actions.settle import ReportKind
from jobs.rpc.conversion import (
    ANSWER_INPUT_BYTES,
    INLINE_INPUT_BYTES,
    MAX_USAGE,
    MOST_NANO_USD,
    MOST_TOKENS,
    claimed_tasks,
    report_of,
)
from jobs.transitions.claiming import ClaimedRow
from proto.daef.v1 import worker_pb2

SUCCEEDED = worker_pb2.OUTCOME_KIND_SUCCEEDED
FAILED = worker_pb2.OUTCOME_KIND_FAILED


def outcome(kind=FAILED, **fields):
    return worker_pb2.Outcome(task_id=7, lease_epoch=3, kind=kind, **fields)


def usage(call=0, **fields):
    return worker_pb2.Usage(call=call, endpoint="e", model="m", **fields)


def row(text: str) -> ClaimedRow:
    return ClaimedRow(1, 1, 1, 1, "echo", "a", text, "{}", "", 0, 0, 5, 300.0, False, 0)


def test_a_success_carries_no_error_whatever_it_says_besides():
    report = report_of(
        outcome(
            SUCCEEDED,
            result="1",
            error_class=worker_pb2.ERROR_CLASS_PERMANENT,
            error_code="broken",
            error_message="it broke",
            usage=[usage(cost_nano_usd=5)],
        )
    )
    assert report.kind == ReportKind.SUCCEEDED
    assert (report.result, report.error_class, report.error_code) == ("1", "", "")
    assert report.error_message == ""
    assert [entry.cost_nano_usd for entry in report.usage] == [5]


def test_a_failure_names_its_share_its_class_and_its_code():
    report = report_of(outcome(error_class=worker_pb2.ERROR_CLASS_TRANSIENT, error_code="x"))
    assert (report.task_id, report.epoch, report.kind) == (7, 3, ReportKind.FAILED)
    assert (report.error_class, report.error_code) == ("transient", "x")


def test_a_failure_of_no_class_is_permanent_and_has_a_code():
    report = report_of(outcome())
    assert (report.error_class, report.error_code) == ("permanent", "unknown")


def test_a_task_that_is_given_back_has_no_error():
    assert report_of(outcome(worker_pb2.OUTCOME_KIND_RELEASED)).error_code == ""


def test_an_outcome_of_no_kind_is_a_failure():
    kind = worker_pb2.OUTCOME_KIND_UNSPECIFIED
    assert report_of(outcome(kind)).kind == ReportKind.FAILED
    assert report_of(outcome(worker_pb2.OUTCOME_KIND_RELEASED)).kind == ReportKind.RELEASED


@pytest.mark.parametrize(("asked", "kept"), [(-5.0, 0.0), (60.0, 60.0), (1e9, 86_400.0)])
def test_a_wait_is_between_nothing_and_a_day(asked, kept):
    assert report_of(outcome(retry_after_seconds=asked)).retry_after_seconds == kept


@pytest.mark.parametrize(
    ("told", "tokens", "cost"), [(-5, 0, 0), (5, 5, 5), (2**62, MOST_TOKENS, MOST_NANO_USD)]
)
def test_counts_are_neither_negative_nor_beyond_what_adds_up(told, tokens, cost):
    report = report_of(
        outcome(usage=[usage(input_tokens=told, output_tokens=told, cost_nano_usd=told)])
    )
    (entry,) = report.usage
    assert (entry.input_tokens, entry.output_tokens) == (tokens, tokens)
    assert entry.cost_nano_usd == cost
    assert not entry.wasted


def test_an_outcome_carries_so_many_model_calls_at_most():
    report = report_of(outcome(usage=map(usage, range(MAX_USAGE + 1))))
    assert len(report.usage) == MAX_USAGE


def test_spawned_tasks_without_input_and_parameters_get_empty_ones():
    spawned = [worker_pb2.SpawnedTask(name="a", kind="label")]
    (order,) = report_of(outcome(SUCCEEDED, result="1", spawned=spawned)).spawned
    assert (order.name, order.kind, order.input, order.parameters) == ("a", "label", "null", "{}")


def test_an_input_up_to_the_limit_travels_inline_and_a_larger_one_does_not():
    small, large = claimed_tasks(
        [row("x" * INLINE_INPUT_BYTES), row("x" * INLINE_INPUT_BYTES + "x")]
    )
    assert (len(small.input), small.has_large_input) == (INLINE_INPUT_BYTES, False)
    assert (large.input, large.has_large_input) == ("", True)


def test_the_inputs_of_one_answer_stay_within_a_message():
    tasks = claimed_tasks([row("x" * INLINE_INPUT_BYTES)] * 100)
    inline = [task for task in tasks if not task.has_large_input]
    assert len(inline) == ANSWER_INPUT_BYTES // INLINE_INPUT_BYTES
    assert all(not task.input for task in tasks if task.has_large_input)


def test_inputs_are_measured_in_bytes():
    (task,) = claimed_tasks([row("é" * INLINE_INPUT_BYTES)])
    assert task.has_large_input
