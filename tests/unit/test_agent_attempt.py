"""One attempt: from a claimed task to its outcome."""

import json
from typing import Any, cast

import pytest

from proto.daef.v1 import worker_pb2
from workeragent import attempt, executors
from workeragent.executors.context import StopFlag
from workeragent.outcome import RateLimitedError, Result, Spawn, TaskCancelled, UsageEntry

PERMANENT = worker_pb2.ERROR_CLASS_PERMANENT
TRANSIENT = worker_pb2.ERROR_CLASS_TRANSIENT


class Services:
    """What the control plane would keep."""

    def __init__(self) -> None:
        self.artifacts: dict[str, bytes] = {}
        self.lines: list[str] = []

    def read_artifact(self, task, artifact):
        return self.artifacts[artifact]

    def write_artifact(self, task, data, media_type):
        self.artifacts["written"] = data
        return "written"

    def log(self, task, text):
        self.lines.append(text)


class Models:
    usage = (UsageEntry(0, "local", "small", 3, 4, 5),)


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def execute(services, monkeypatch):
    def run(executor=None, stopped=None, **fields) -> worker_pb2.Outcome:
        if executor is not None:
            monkeypatch.setattr(attempt, "load", lambda kind: executor)
        claimed = worker_pb2.ClaimedTask(
            **{"task_id": 7, "lease_epoch": 2, "kind": "echo", "input": '{"a": 1}', **fields}
        )
        return attempt.run(
            claimed, services, stopped or StopFlag(), lambda task: cast(Any, Models())
        )

    return run


def raising(error):
    def run(context):
        raise error

    return run


def test_echo_gives_its_input_back(execute):
    outcome = execute()
    assert outcome.kind == worker_pb2.OUTCOME_KIND_SUCCEEDED
    assert json.loads(outcome.result) == {"a": 1}
    assert (outcome.task_id, outcome.lease_epoch) == (7, 2)


def test_a_large_input_is_read_as_an_artifact(execute, services):
    services.artifacts["input"] = b'["large"]'
    assert execute(input="", has_large_input=True).result == '["large"]'


def test_a_large_result_is_written_as_an_artifact(execute, services):
    outcome = execute(lambda context: Result("é" * 40_000))
    assert outcome.result == ""
    assert outcome.result_sha256 == "written"
    assert json.loads(services.artifacts["written"]) == "é" * 40_000


def test_a_result_that_no_artifact_can_hold_fails_for_good(execute, monkeypatch):
    monkeypatch.setattr(attempt, "RESULT_BYTES", 100_000)
    outcome = execute(lambda context: Result("x" * 100_000))
    assert outcome.error_class == worker_pb2.ERROR_CLASS_PERMANENT
    assert outcome.error_code == "result_too_large"


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800", {1: {2}}])
def test_a_result_that_is_not_json_fails_for_good(execute, value):
    outcome = execute(lambda context: Result(value))
    assert outcome.error_class == worker_pb2.ERROR_CLASS_PERMANENT
    assert outcome.error_code == "result_invalid"


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_an_input_that_is_not_json_fails_as_invalid(execute, text):
    outcome = execute(input=text)
    assert outcome.error_class == worker_pb2.ERROR_CLASS_INVALID_INPUT


def test_a_task_error_keeps_its_class_code_and_wait(execute):
    outcome = execute(raising(RateLimitedError("slow_down", "Later.", retry_after_seconds=3)))
    assert outcome.kind == worker_pb2.OUTCOME_KIND_FAILED
    assert outcome.error_class == worker_pb2.ERROR_CLASS_RATE_LIMITED
    assert (outcome.error_code, outcome.retry_after_seconds) == ("slow_down", 3)


def test_an_unexpected_exception_is_reported_without_what_it_says(execute):
    outcome = execute(raising(ValueError("the customer's secret")))
    assert outcome.error_code == "executor_error"
    assert outcome.error_class == worker_pb2.ERROR_CLASS_PERMANENT
    assert outcome.error_message == "The executor raised ValueError."


@pytest.mark.parametrize("error", [MemoryError(), OSError("disk"), ConnectionError()])
def test_a_failure_of_the_machine_is_transient(execute, error):
    assert execute(raising(error)).error_class == worker_pb2.ERROR_CLASS_TRANSIENT


def test_an_executor_that_wants_to_end_the_process_ends_only_its_task(execute):
    assert execute(raising(SystemExit(0))).error_code == "executor_error"


def test_a_cancelled_task_has_no_outcome_of_its_own(execute):
    flag = StopFlag()
    flag.set()
    outcome = execute(lambda context: context.check(), stopped=flag)
    assert outcome.kind == worker_pb2.OUTCOME_KIND_UNSPECIFIED


def test_a_cancel_that_nobody_asked_for_is_a_fault_of_the_executor(execute):
    assert execute(raising(TaskCancelled())).error_code == "executor_error"


def test_usage_is_reported_also_when_the_task_fails(execute):
    def run(context):
        assert context.models
        raise ValueError

    outcome = execute(run)
    assert outcome.kind == worker_pb2.OUTCOME_KIND_FAILED
    assert outcome.usage[0].cost_nano_usd == 5


def test_spawned_tasks_travel_with_the_result(execute):
    outcome = execute(lambda context: Result(1, (Spawn("a", "echo", [1], {"b": 2}),)))
    assert outcome.spawned[0].input == "[1]"
    assert outcome.spawned[0].parameters == '{"b":2}'


def test_parents_are_read_in_order_and_large_ones_on_demand(execute, services):
    services.artifacts["parents"] = (
        b'{"name":"a","kind":"echo","status":"Succeeded","result":1,"error":null}\n'
        b'{"name":"b","kind":"echo","status":"Succeeded","sha256":"ff"}\n'
    )
    services.artifacts["ff"] = b"2"

    def run(context):
        return Result([context.parent_value(parent) for parent in context.parents()])

    assert execute(run, has_parents=True).result == "[1,2]"


def test_log_lines_are_cut_and_counted(execute, services):
    def run(context):
        for _ in range(150):
            context.log("x" * 900)
        return Result(None)

    execute(run)
    assert len(services.lines) == 100
    assert len(services.lines[0]) == 500


def test_an_unknown_kind_fails_for_good(execute):
    assert execute(kind="nonsense").error_code == "kind_unknown"


@pytest.mark.parametrize(
    ("error", "code", "error_class"),
    [
        (ModuleNotFoundError("gone", name="numpy"), "kind_unavailable", PERMANENT),
        (ImportError("cannot map segment", name="numpy"), "executor_not_loaded", TRANSIENT),
    ],
)
def test_a_library_that_is_missing_is_told_from_one_that_cannot_be_loaded_now(
    execute, monkeypatch, error, code, error_class
):
    def fail(name):
        raise error

    executors._run_of.cache_clear()
    monkeypatch.setattr("workeragent.executors.importlib.import_module", fail)
    outcome = execute(kind="echo")
    assert (outcome.error_code, outcome.error_class) == (code, error_class)


@pytest.mark.parametrize("value", [-1, "soon", True, 1e12])
def test_echo_refuses_a_senseless_sleep(execute, value):
    outcome = execute(parameters=json.dumps({"sleep_ms": value}))
    assert outcome.error_code == "sleep_ms_invalid"
