"""Every RPC for every kind of caller, generated from the protocol."""

import json
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from access.permissions import SCOPES as KNOWN
from jobs.rpc.doors import PUBLIC_SERVICES, SCOPES, DoorInterceptor
from proto.daef.v1 import job_pb2, job_pb2_grpc, worker_pb2, worker_pb2_grpc
from tests.integration.gateway import pipeline
from tests.integration.route_cases import job as open_job
from tests.integration.routes import TOKENS, World
from tests.integration.worker_door import Agent, registration

pytestmark = pytest.mark.django_db(transaction=True)

OK = grpc.StatusCode.OK
NOT_HELD = (grpc.StatusCode.FAILED_PRECONDITION, "lease_not_held")
MISSING = (grpc.StatusCode.NOT_FOUND, "not_found")
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "scope_missing")

STUBS = {
    "WorkerService": worker_pb2_grpc.WorkerServiceStub,
    "JobService": job_pb2_grpc.JobServiceStub,
}
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (job_pb2, worker_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def share(of):
    return {"worker_id": of.agent, "task_id": of.task.task_id, "lease_epoch": of.task.lease_epoch}


# What a method is asked, and what another tenant's caller, or another agent, is answered.
# The method's own caller is answered OK.
CASES = {
    "SubmitJob": (lambda of: {"body": json.dumps(pipeline("a"))}, OK),
    "GetJob": (lambda of: {"id": of.job}, MISSING),
    "ListJobs": (lambda of: {"limit": 1}, OK),
    "ListTasks": (lambda of: {"job_id": of.job}, MISSING),
    "CancelJob": (lambda of: {"id": of.job}, MISSING),
    "WatchJob": (lambda of: {"id": of.job}, MISSING),
    "Register": (lambda of: {"agent": registration()}, OK),
    "Claim": (lambda of: {"worker_id": of.agent, "want": 1}, NOT_HELD),
    "Heartbeat": (lambda of: {"worker_id": of.agent}, NOT_HELD),
    "Settle": (lambda of: {"worker_id": of.agent}, NOT_HELD),
    "ReportProgress": (lambda of: {"worker_id": of.agent}, NOT_HELD),
    "ReadArtifact": (lambda of: {**share(of), "artifact": "input"}, NOT_HELD),
    "WriteArtifact": (lambda of: {**share(of), "media_type": "text/plain"}, NOT_HELD),
    "Deregister": (lambda of: {"worker_id": of.agent}, NOT_HELD),
}


@pytest.fixture
def world(channel, settings):
    settings.DAEF_API_TOKENS = TOKENS
    return World()


def test_every_method_has_a_case_and_every_case_a_method():
    assert {name.rpartition("/")[2] for name in METHODS} == set(CASES)


def test_every_service_asks_for_a_scope():
    for name in METHODS:
        assert scope_of(name) in {*KNOWN, "worker"} - {"public"}, name
        assert not name.startswith(PUBLIC_SERVICES)


def scope_of(name):
    return next((scope for prefix, scope in SCOPES.items() if name.startswith(prefix)), None)


def objects(world, channel, method):
    """An open job of alpha's and an agent that holds a task, each new."""
    token = (world.roles["agent"].header or "").removeprefix("Bearer ")
    parts = open_job(world)
    agent = Agent(channel, token)
    return SimpleNamespace(job=parts["job"], agent=agent.worker_id, task=agent.claim()[0])


def request(method, of):
    """The message, in a stream where the method takes one."""
    values = CASES[method.name][0](of)
    message = values.get("agent") if method.name == "Register" else None
    if message is None:
        message = method.input_type._concrete_class(**values)
    return iter([message]) if method.client_streaming else message


def answer(channel, method, of, header):
    """Status and reason of one call; a stream is only begun."""
    metadata = (("authorization", header),) if header is not None else ()
    stub = STUBS[method.containing_service.name](channel)
    try:
        called = getattr(stub, method.name)(request(method, of), metadata=metadata, timeout=20)
        if method.server_streaming:
            next(called)
            called.cancel()
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        rpc_status.from_call(error).details[0].Unpack(info)
        return error.code(), info.reason
    return OK


def expected(method, name, role, scope):
    """What follows from the scope of the service."""
    if role.scopes is None:
        return UNKNOWN
    has_it = "worker" in role.scopes if scope == "worker" else any_tenant(role)
    if not has_it:
        return DENIED
    mine = name == "agent" if scope == "worker" else role.is_the_owner()
    return OK if mine else CASES[method.name][1]


def any_tenant(role):
    return any(scope.startswith("tenant:") for scope in role.scopes)


@pytest.mark.parametrize("service", SCOPES)
def test_each_caller_is_answered_as_the_service_declares(world, channel, service):
    wrong = []
    for full_name, method in METHODS.items():
        if not full_name.startswith(service):
            continue
        of = objects(world, channel, method)
        for name, role in world.roles.items():
            if name == "not ascii":
                continue  # gRPC's own client does not send it
            if role.is_the_owner() or name == "agent":
                of = objects(world, channel, method)
            found = answer(channel, method, of, role.header)
            wanted = expected(method, name, role, scope_of(full_name))
            if found != wanted:
                wrong.append(f"{full_name} for {name}: {found}, not {wanted}")
    assert wrong == []


@pytest.mark.parametrize(
    ("kind", "streams"),
    [
        ("unary_unary", (False, False)),
        ("unary_stream", (False, True)),
        ("stream_unary", (True, False)),
        ("stream_stream", (True, True)),
    ],
)
def test_a_service_without_a_scope_is_denied_to_everybody(kind, streams):
    """Whatever the kind of its methods, and before anything of it runs."""

    def reached(request, context):
        raise AssertionError("the handler was reached")

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    details = SimpleNamespace(
        method="/daef.v1.NewService/Do", invocation_metadata=(("authorization", "Bearer x"),)
    )
    handler = DoorInterceptor().intercept_service(lambda _: make(reached), details)
    assert (handler.request_streaming, handler.response_streaming) == streams
    refused: list[Any] = []
    context = SimpleNamespace(abort_with_status=refused.append)
    list(getattr(handler, kind)(None, context) or ())
    assert [status.code for status in refused] == [grpc.StatusCode.PERMISSION_DENIED]
