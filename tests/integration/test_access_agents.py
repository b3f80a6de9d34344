"""Agents with database tokens: gone with their token, and never beyond their tenant."""

import grpc
import pytest

from jobs.actions import premises
from jobs.models import Task
from jobs.queries.explain import explanation
from jobs.reaper import reap_leases
from jobs.transitions.sql import execute
from proto.daef.v1 import worker_pb2
from tests.integration.scenario import register, submit_echo, tenant
from tests.integration.tokens import let_expire, make_token, mistyped, revoke
from tests.integration.worker_door import Agent, refusal, register_with, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")


def everything_an_agent_calls(agent, task):
    """Each call of a running agent, by its name."""
    share = {"task_id": task.task_id, "lease_epoch": task.lease_epoch}
    beat = worker_pb2.HeartbeatRequest(
        worker_id=agent.worker_id, held=[worker_pb2.TaskLease(**share)], free_slots=1
    )
    line = worker_pb2.LogLine(**share, text="still here")
    return {
        "Claim": agent.claim,
        "Settle": lambda: agent.settle(succeeded(task)),
        "Heartbeat": lambda: agent.call("Heartbeat", beat),
        "ReportProgress": lambda: agent.call(
            "ReportProgress",
            worker_pb2.ReportProgressRequest(worker_id=agent.worker_id, lines=[line]),
        ),
        "ReadArtifact": lambda: agent.read(task, "input"),
        "WriteArtifact": lambda: agent.write(task, b"1"),
        "Deregister": lambda: agent.call(
            "Deregister", worker_pb2.DeregisterRequest(worker_id=agent.worker_id)
        ),
    }


@pytest.mark.parametrize("end", [revoke, let_expire])
def test_an_agent_whose_token_is_no_good_is_refused_whatever_it_calls(channel, end):
    submit_echo(2)
    agent = Agent(channel, make_token("gpu", "worker"))
    (task,) = agent.claim()
    end("gpu")
    for name, call in everything_an_agent_calls(agent, task).items():
        assert refusal(call) == REFUSED, name
    assert list(Task.objects.order_by("id").values_list("status", flat=True)) == [
        "Running",
        "Queued",
    ]


def test_an_agent_whose_token_is_revoked_is_refused_at_its_next_call(channel):
    agent = Agent(channel, make_token("gpu", "worker"))
    assert agent.claim() == []
    revoke("gpu")
    assert refusal(agent.claim) == REFUSED


def test_what_an_agent_without_a_good_token_holds_comes_back_when_its_lease_runs_out(channel):
    submit_echo(1)
    agent = Agent(channel, make_token("gpu", "worker"))
    agent.claim()
    revoke("gpu")
    execute("update lease set expires_at = now() - interval '1 second'")
    assert reap_leases() == 1
    other = Agent(channel, make_token("gpu-2", "worker"))
    (task,) = other.claim()
    assert other.settle(succeeded(task)).results[0].status == worker_pb2.SETTLE_STATUS_APPLIED


def test_an_agent_cannot_go_on_with_another_token(channel):
    agent = Agent(channel, make_token("gpu", "worker"))
    agent.metadata = (("authorization", f"Bearer {make_token('gpu-2', 'worker')}"),)
    assert refusal(agent.claim) == (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")


def test_an_agent_may_write_the_scheme_in_small_letters(channel):
    agent = Agent(channel, token := make_token("gpu", "worker"))
    agent.metadata = (("authorization", f"bearer {token}"),)
    assert agent.claim() == []


def test_a_mistyped_token_is_refused(channel):
    metadata = (("authorization", f"Bearer {mistyped(make_token('gpu', 'worker'))}"),)
    assert refusal(register_with(channel, metadata)) == REFUSED


def test_two_tokens_at_once_are_refused(channel):
    one = ("authorization", f"Bearer {make_token('gpu', 'worker')}")
    other = ("authorization", f"Bearer {make_token('gpu-2', 'worker')}")
    assert refusal(register_with(channel, (one, other))) == REFUSED


# ── agents of one tenant ──────────────────────────────────────────────────────────────────────────


def test_an_agent_of_a_tenant_claims_and_settles_that_tenants_tasks_alone(channel):
    submit_echo(2, owner="beta")
    agent = Agent(channel, make_token("alpha-gpu", "worker", "tenant:alpha"))
    assert agent.claim(5) == []
    mine = submit_echo(1, owner="alpha")
    (task,) = agent.claim(5)
    assert task.task_id >> 20 == mine.pk
    assert agent.settle(succeeded(task)).results[0].status == worker_pb2.SETTLE_STATUS_APPLIED
    assert agent.claim(5) == []


def test_an_agent_of_a_tenant_is_not_told_of_others_work(channel):
    submit_echo(1, owner="beta")
    agent = Agent(channel, make_token("alpha-gpu", "worker", "tenant:alpha"))
    beat = worker_pb2.HeartbeatRequest(worker_id=agent.worker_id, free_slots=1)
    assert not agent.call("Heartbeat", beat).work_waiting
    submit_echo(1, owner="alpha")
    assert agent.call("Heartbeat", beat).work_waiting


def test_a_job_in_a_pool_of_anothers_agents_is_told_that_nobody_serves_it(channel):
    Agent(channel, make_token("alpha-gpu", "worker", "tenant:alpha"))
    jobs = {owner: submit_echo(1, owner=owner) for owner in ("alpha", "beta")}
    assert ("free_slots", 4) in explanation(jobs["alpha"]).numbers
    assert ("live_workers", 0) in explanation(jobs["beta"]).numbers


def test_a_bound_agent_counts_as_live_for_its_own_tenant_alone():
    register(owner="acme")
    tenant("globex")
    live = [
        premises.ask(tenant=name, policy="default").live_workers
        for name in ("acme", "globex", "not there yet")
    ]
    assert live == [1, 0, 0]
