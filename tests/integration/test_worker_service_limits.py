"""What the agents' door refuses, hides and keeps within bounds."""

import hashlib
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from jobs.actions import artifacts
from jobs.errors import PlanRefused
from jobs.models import DeadLetter, Job, JobStage, ModelEndpoint, Task, TaskLog, UsageEntry, Worker
from jobs.rpc import conversion, worker_service
from jobs.transitions.claiming import MAX_CLAIM
from jobs.transitions.sql import execute
from proto.daef.v1 import worker_pb2
from tests.integration.scenario import submit_echo, submit_pipeline
from tests.integration.worker_door import Agent, refusal, register_with, registration, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "not_found")


@pytest.mark.parametrize("want", [0, -1, MAX_CLAIM + 1])
def test_a_claim_wants_between_one_task_and_a_batch(channel, want):
    agent = Agent(channel)
    assert refusal(lambda: agent.claim(want)) == INVALID


def test_a_settlement_is_bounded_in_outcomes_and_in_what_it_wants(channel, monkeypatch):
    monkeypatch.setattr(worker_service, "MAX_OUTCOMES", 2)
    agent = Agent(channel)
    outcomes = [worker_pb2.Outcome(task_id=n, lease_epoch=1) for n in range(1, 4)]
    assert refusal(lambda: agent.settle(*outcomes)) == INVALID
    assert refusal(lambda: agent.settle(want=MAX_CLAIM + 1)) == INVALID
    assert len(agent.settle(*outcomes[:2]).results) == 2


def test_a_heartbeat_is_bounded(channel, monkeypatch):
    monkeypatch.setattr(worker_service, "MAX_HELD", 1)
    agent = Agent(channel)
    held = [worker_pb2.TaskLease(task_id=n, lease_epoch=1) for n in (1, 2)]
    for fields in ({"held": held}, {"free_slots": -1}, {"free_slots": 1_025}):
        request = worker_pb2.HeartbeatRequest(worker_id=agent.worker_id, **fields)
        assert refusal(lambda r=request: agent.call("Heartbeat", r)) == INVALID


@pytest.mark.parametrize(
    "fields",
    [
        {"incarnation": "agent-1"},
        {"pool": ""},
        {"pool": "no pool"},
        {"pool": "x" * 64},
        {"slots": 1_025},
        {"slots": -1},
        {"kinds": ["echo"] * (worker_service.MAX_NAMES + 1)},
        {"models": ["m"] * (worker_service.MAX_NAMES + 1)},
    ],
)
def test_a_registration_that_cannot_be_is_refused(channel, fields):
    metadata = (("authorization", "Bearer worker-token"),)
    assert refusal(register_with(channel, metadata, **fields)) == INVALID
    assert not Worker.objects.exists()


def test_an_incarnation_that_registered_before_is_refused(channel):
    number = str(uuid.uuid4())
    agent = Agent(channel)
    agent.call("Register", registration(incarnation=number))
    again = refusal(lambda: agent.call("Register", registration(incarnation=number)))
    assert again == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")


def test_a_token_for_two_tenants_is_no_workers(channel, settings):
    settings.DAEF_API_TOKENS = "both:worker|tenant:a|tenant:b,one:worker|tenant:a"
    both, one = ((("authorization", f"Bearer {name}"),) for name in ("both", "one"))
    assert refusal(register_with(channel, both)) == INVALID
    register_with(channel, one)()
    assert Worker.objects.values_list("tenant__name", flat=True).get() == "a"


def test_an_agent_is_told_of_enabled_endpoints_only(channel):
    ModelEndpoint.objects.filter(name="embedded-chat").update(enabled=False)
    answer = Agent(channel).call("Register", registration())
    assert [endpoint.name for endpoint in answer.endpoints] == ["embedded-embedding"]


def test_an_artifact_is_read_by_its_hash_and_within_its_tenant(channel):
    submit_echo(1, owner="alice")
    submit_echo(1, owner="bob")
    agent = Agent(channel)
    mine, theirs = sorted(agent.claim(2), key=lambda task: task.task_id)
    data = b'{"large": "result"}'
    sha256 = agent.write(mine, data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert agent.read(mine, sha256) == data
    assert refusal(lambda: agent.read(theirs, sha256)) == NOT_FOUND
    assert refusal(lambda: agent.read(mine, "0" * 64)) == NOT_FOUND


def test_a_result_names_a_blob_that_is_there(channel):
    submit_echo(2)
    agent = Agent(channel)
    first, second = agent.claim(2)
    sha256 = agent.write(first, b"1")
    answer = agent.settle(
        succeeded(first, "", result_sha256=sha256), succeeded(second, "", result_sha256="0" * 64)
    )
    assert [result.status for result in answer.results] == [
        worker_pb2.SETTLE_STATUS_APPLIED,
        worker_pb2.SETTLE_STATUS_REJECTED,
    ]


def test_a_failure_of_a_task_that_never_was_is_fenced(channel):
    agent = Agent(channel)
    outcome = worker_pb2.Outcome(
        task_id=99 << 20 | 1, lease_epoch=1, kind=worker_pb2.OUTCOME_KIND_FAILED
    )
    (result,) = agent.settle(outcome).results
    assert result.status == worker_pb2.SETTLE_STATUS_FENCED


def log(agent, task, *texts: str) -> None:
    lines = [
        worker_pb2.LogLine(task_id=task.task_id, lease_epoch=task.lease_epoch, text=text)
        for text in texts
    ]
    request = worker_pb2.ReportProgressRequest(worker_id=agent.worker_id, lines=lines)
    agent.call("ReportProgress", request)


def test_log_lines_of_another_worker_or_of_an_ended_task_are_dropped(channel):
    submit_echo(1)
    agent, other = Agent(channel), Agent(channel)
    (task,) = agent.claim()
    log(other, task, "not mine")
    agent.settle(succeeded(task))
    log(agent, task, "too late")
    assert not TaskLog.objects.exists()


def test_an_attempt_keeps_its_first_hundred_lines_in_order_and_cut_to_length(channel):
    submit_echo(2)
    agent = Agent(channel)
    first, second = agent.claim(2)
    log(agent, second, "of another task")
    log(agent, first, *(f"line {number}" for number in range(60)))
    log(agent, first, "x" * 501, *(f"line {number}" for number in range(60)))
    texts = list(
        TaskLog.objects.filter(task_id=first.task_id).order_by("id").values_list("text", flat=True)
    )
    assert texts[:60] == [f"line {number}" for number in range(60)]
    assert texts[60] == "x" * 500
    assert len(texts) == 100


def test_parents_of_any_size_are_read_whole_and_in_order(channel):
    names = [f"p{number}" for number in range(6)]
    submit_pipeline(*({"name": name} for name in names), {"name": "all", "collects": names})
    agent = Agent(channel)
    for task in agent.claim(6):
        agent.settle(succeeded(task, '"' + "x" * 60_000 + '"'))
    (collector,) = agent.claim(6)
    lines = agent.read(collector, "parents").splitlines()
    assert [line[:13] for line in lines] == [b'{"name":"p%d",' % number for number in range(6)]
    assert all(len(line) > 60_000 for line in lines)


def test_what_is_written_over_again_ends_with_the_lease(channel):
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    agent.write(task, b"held")
    execute("update task set epoch = epoch + 1")
    refused = refusal(lambda: agent.write(task, b"lost"))
    assert refused == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")


def test_tasks_too_large_for_one_answer_arrive_in_several(channel, monkeypatch):
    monkeypatch.setattr(conversion, "ANSWER_BYTES", 100_000)
    submit_pipeline(
        *({"name": f"t{number}", "parameters": {"text": "x" * 40_000}} for number in range(5))
    )
    agent = Agent(channel)
    first = agent.claim(5)
    second = agent.settle(*map(succeeded, first), want=5).tasks
    assert [len(first), len(second)] == [2, 2]
    assert sorted(Task.objects.values_list("status", flat=True)) == [
        *["Queued", "Running", "Running", "Succeeded", "Succeeded"]
    ]
    assert {task.attempt for task in second} == {1}


def test_a_task_larger_than_an_answer_should_be_arrives_alone(channel, monkeypatch):
    monkeypatch.setattr(conversion, "ANSWER_BYTES", 10)
    submit_echo(2)
    assert len(Agent(channel).claim(2)) == 1


def test_parameters_that_could_not_travel_are_refused(channel):
    with pytest.raises(PlanRefused, match=r"parameters: those of task 'large' are larger than"):
        submit_pipeline({"name": "large", "parameters": {"text": "é" * 600_000}})


def usage(*calls: dict[str, Any]) -> list[worker_pb2.Usage]:
    return [ParseDict(call, worker_pb2.Usage()) for call in calls]


def test_a_call_reported_twice_counts_once_everywhere(channel):
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    calls = usage({"call": 1, "input_tokens": 3}, {"call": 1, "input_tokens": 4})
    agent.settle(succeeded(task, usage=calls))
    assert Task.objects.get().input_tokens == 3
    assert UsageEntry.objects.get().input_tokens == 3


def test_numbers_that_no_model_can_mean_are_cut_and_stop_nothing(channel):
    submit_echo(2)
    agent = Agent(channel)
    much = {"input_tokens": 2**62, "output_tokens": 2**62, "cost_nano_usd": 2**62}
    for task in agent.claim(2):
        calls = usage(*({"call": number, **much} for number in range(1_000)))
        (result,) = agent.settle(succeeded(task, usage=calls)).results
        assert result.status == worker_pb2.SETTLE_STATUS_APPLIED
    counts = JobStage.objects.values_list("input_tokens", "output_tokens").get()
    assert counts == (2_000 * conversion.MOST_TOKENS,) * 2
    assert Job.objects.get().status == "Succeeded"


def test_nul_in_what_an_agent_says_is_replaced(channel):
    submit_echo(2)
    agent = Agent(channel)
    first, second = agent.claim(2)
    failure = worker_pb2.Outcome(
        task_id=first.task_id,
        lease_epoch=first.lease_epoch,
        kind=worker_pb2.OUTCOME_KIND_FAILED,
        error_class=worker_pb2.ERROR_CLASS_PERMANENT,
        error_code="bro\0ken",
        error_message="of \0 no use",
    )
    calls = usage({"call": 0, "endpoint": "e\0", "model": "m\0"})
    agent.settle(failure, succeeded(second, usage=calls))
    letter = DeadLetter.objects.get()
    assert (letter.error_code, letter.error_message) == ("bro\ufffdken", "of \ufffd no use")
    assert UsageEntry.objects.values_list("endpoint", "model").get() == ("e\ufffd", "m\ufffd")


def test_a_result_that_is_too_large_to_be_kept_with_its_task_is_rejected(channel):
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    (told,) = agent.settle(succeeded(task, f'"{"x" * 65_535}"')).results
    assert told.status == worker_pb2.SETTLE_STATUS_REJECTED
    assert "65536 bytes" in told.message


def test_an_artifact_is_bounded(channel, monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_ARTIFACT_BYTES", 150_000)
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    assert agent.write(task, b"x" * 150_000)
    code, _ = refusal(lambda: agent.write(task, b"x" * 150_001))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_worker_that_is_gone_is_soon_refused_by_whoever_remembers_it(channel, monkeypatch):
    monkeypatch.setattr(worker_service, "WORKER_CACHE_SECONDS", 0.0)
    agent = Agent(channel)
    assert agent.claim() == []
    Worker.objects.update(state="Gone")
    assert refusal(agent.claim) == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")
