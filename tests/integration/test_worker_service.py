"""The agents' door over a real gRPC server: access, errors, leases, artifacts."""

import json
import threading

import grpc
import pytest
from django.db import connection
from grpc_health.v1 import health_pb2, health_pb2_grpc

from daef_site import ports
from jobs.metrics import ProcessCounts
from jobs.models import Tally
from jobs.rpc.server import serve
from jobs.transitions.sql import execute
from proto.daef.v1 import worker_pb2
from tests.integration.agent_control_plane import until
from tests.integration.scenario import submit_echo, submit_pipeline
from tests.integration.worker_door import (
    METRICS,
    OTHER,
    WORKER,
    Agent,
    refusal,
    register_with,
    registration,
    succeeded,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_call_without_a_token_is_refused(channel):
    assert refusal(register_with(channel, ())) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "unauthenticated",
    )


def test_an_unknown_token_is_refused(channel):
    metadata = (("authorization", "Bearer nobody"),)
    assert refusal(register_with(channel, metadata))[0] == grpc.StatusCode.UNAUTHENTICATED


def test_a_token_without_the_scope_is_refused(channel):
    metadata = (("authorization", f"Bearer {METRICS}"),)
    assert refusal(register_with(channel, metadata)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "scope_missing",
    )


def test_an_agent_with_a_very_long_name_gets_work_too(channel):
    submit_echo(1)
    agent = Agent(channel)
    answer = agent.call("Register", registration(name="x" * 250))
    claim = worker_pb2.ClaimRequest(worker_id=answer.worker_id, want=1)
    assert len(agent.call("Claim", claim).tasks) == 1


def test_a_bad_registration_names_its_field(channel):
    metadata = (("authorization", f"Bearer {WORKER}"),)
    assert refusal(register_with(channel, metadata, slots=0)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_request",
    )


def test_another_token_cannot_speak_for_a_worker(channel):
    agent = Agent(channel)
    other = Agent(channel, OTHER)
    other.worker_id = agent.worker_id
    assert refusal(other.claim) == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")


def test_health_answers_without_a_token(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service="daef.v1.WorkerService"), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_second_server_cannot_share_the_port(channel):
    address = f"127.0.0.1:{ports.free_port()}"
    first = serve(address)
    with pytest.raises(RuntimeError):
        serve(address)
    first.stop(0).wait()


def test_settle_answers_each_outcome_and_brings_the_next_batch(channel):
    submit_echo(3)
    agent = Agent(channel)
    (task,) = agent.claim()
    answer = agent.settle(succeeded(task), want=5)
    assert [result.status for result in answer.results] == [worker_pb2.SETTLE_STATUS_APPLIED]
    assert len(answer.tasks) == 2
    again = agent.settle(succeeded(task))
    assert again.results[0].status == worker_pb2.SETTLE_STATUS_REPEATED


def test_outcomes_of_a_lost_lease_are_counted_as_fenced(channel):
    submit_echo(2)
    agent = Agent(channel)
    one, two = agent.claim(2)
    execute("update task set epoch = epoch + 1 where id = %s", (one.task_id,))
    counts = ProcessCounts()
    counts.told(counts.untold())
    agent.settle(succeeded(one), succeeded(two))
    assert counts.untold()["daef_settlements_fenced_total", "{}"] == 1


def test_tickets_that_an_agent_took_are_counted_once_however_often_it_says_so(channel):
    agent = Agent(channel)
    for taken in (3, 3, 5, 4):
        request = worker_pb2.HeartbeatRequest(worker_id=agent.worker_id, tickets_taken=taken)
        agent.call("Heartbeat", request)
    assert sum(amount for (amount,) in Tally.objects.values_list("amounts", flat=True)) == 5


def test_a_heartbeat_names_what_is_gone(channel):
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    held = [
        worker_pb2.TaskLease(task_id=task.task_id, lease_epoch=task.lease_epoch),
        worker_pb2.TaskLease(task_id=task.task_id + 1, lease_epoch=1),
    ]
    request = worker_pb2.HeartbeatRequest(worker_id=agent.worker_id, held=held, free_slots=3)
    assert list(agent.call("Heartbeat", request).gone) == held[1:]


def test_a_large_input_is_read_as_an_artifact(channel):
    text = "x" * 200_000
    submit_pipeline({"name": "a", "input": text})
    agent = Agent(channel)
    (task,) = agent.claim()
    assert task.has_large_input
    assert not task.input
    assert json.loads(agent.read(task, "input")) == text


def test_a_collector_reads_its_parents_in_order(channel):
    submit_pipeline({"name": "a"}, {"name": "b"}, {"name": "c", "collects": ["a", "b"]})
    agent = Agent(channel)
    first, second = agent.claim(2)
    failed = worker_pb2.Outcome(
        task_id=second.task_id,
        lease_epoch=second.lease_epoch,
        kind=worker_pb2.OUTCOME_KIND_FAILED,
        error_class=worker_pb2.ERROR_CLASS_PERMANENT,
        error_code="broken",
        error_message="it broke",
    )
    agent.settle(succeeded(first, '{"x": 1}'), failed)
    (collector,) = agent.claim()
    lines = [json.loads(line) for line in agent.read(collector, "parents").splitlines()]
    assert lines == [
        {"name": "a", "kind": "echo", "status": "Succeeded", "result": {"x": 1}},
        {
            "name": "b",
            "kind": "echo",
            "status": "DeadLettered",
            "error": {"code": "broken", "message": "it broke"},
        },
    ]


def test_a_large_result_is_an_artifact_that_dependents_can_read(channel):
    submit_pipeline({"name": "a"}, {"name": "b", "collects": ["a"]})
    agent = Agent(channel)
    (task,) = agent.claim()
    blob = json.dumps(["y" * 1000] * 700).encode()
    sha256 = agent.write(task, blob)
    agent.settle(succeeded(task, "", result_sha256=sha256))
    (collector,) = agent.claim()
    (parent,) = [json.loads(line) for line in agent.read(collector, "parents").splitlines()]
    assert parent["sha256"] == sha256
    assert agent.read(collector, sha256) == blob


def test_an_agent_that_leaves_while_it_sends_an_artifact_is_no_error_of_ours(channel, caplog):
    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    asked, over = threading.Event(), threading.Event()

    def chunks():
        yield worker_pb2.WriteArtifactRequest(
            worker_id=agent.worker_id, task_id=task.task_id, lease_epoch=task.lease_epoch, data=b"1"
        )
        asked.set()
        over.wait(10)

    call = agent.stub.WriteArtifact.future(chunks(), metadata=agent.metadata, timeout=10)
    assert asked.wait(10)
    call.cancel()
    over.set()
    # The next call is served, and by then the one that was left has ended.
    until(lambda: agent.write(task, b"2") and other_sessions() == 0)
    assert "an RPC failed" not in caplog.text


def test_nothing_can_be_read_or_written_without_the_lease(channel):
    submit_echo(1)
    agent, other = Agent(channel), Agent(channel)
    (task,) = agent.claim()
    assert refusal(lambda: other.read(task, "input"))[1] == "lease_not_held"
    assert refusal(lambda: other.write(task, b"1"))[1] == "lease_not_held"


def test_log_lines_are_kept_for_held_tasks_only(channel):
    from jobs.models import TaskLog

    submit_echo(1)
    agent = Agent(channel)
    (task,) = agent.claim()
    lines = [
        worker_pb2.LogLine(
            task_id=task.task_id, lease_epoch=task.lease_epoch + n, text="a\r\nforged \x00 line"
        )
        for n in range(2)
    ]
    agent.call(
        "ReportProgress", worker_pb2.ReportProgressRequest(worker_id=agent.worker_id, lines=lines)
    )
    assert list(TaskLog.objects.values_list("text", flat=True)) == ["a forged line"]


def test_a_deregistered_worker_is_told_to_register_again(channel):
    agent = Agent(channel)
    agent.call("Deregister", worker_pb2.DeregisterRequest(worker_id=agent.worker_id))
    assert refusal(agent.claim) == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")


def test_a_message_beyond_the_limit_is_refused_without_harm(channel):
    agent = Agent(channel)
    request = worker_pb2.SettleRequest(
        worker_id=agent.worker_id,
        outcomes=[worker_pb2.Outcome(task_id=1, lease_epoch=1, result="x" * (9 * 2**20))],
    )
    assert refusal(lambda: agent.call("Settle", request))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert agent.claim() == []


def test_calls_give_their_database_sessions_back(channel):
    submit_echo(1)
    agent = Agent(channel)
    task = agent.claim()[0]
    agent.settle(succeeded(task), want=1)
    until(lambda: other_sessions() == 0)


def other_sessions() -> int:
    """How many sessions the test database has beside this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]
