"""The gRPC door to jobs: the same documents, codes and tenants as REST."""

import json
import socket

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jobs.rpc.server import serve
from proto.daef.v1 import job_pb2, job_pb2_grpc
from tests.integration.gateway import Gateway, pipeline

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE = 20.0


@pytest.fixture
def stub():
    address = f"127.0.0.1:{free_port()}"
    server = serve(address)
    with grpc.insecure_channel(address) as channel:
        yield job_pb2_grpc.JobServiceStub(channel)
    server.stop(0).wait(5)


def free_port():
    for port in range(20_600, 20_700):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def call(method, request, token=None):
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return method(request, timeout=DEADLINE, metadata=metadata)


def submitted(stub, token=None, **body):
    text = json.dumps({**pipeline("a", "b"), **body})
    return call(stub.SubmitJob, job_pb2.SubmitJobRequest(body=text, idempotency_key="k"), token)


def refusal(method, request, token=None):
    with pytest.raises(grpc.RpcError) as raised:
        whole(call(method, request, token))
    status = rpc_status.from_call(raised.value)
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return raised.value.code(), info


def whole(answer):
    """A stream is refused when it is read, not when it is asked for."""
    return list(answer) if hasattr(answer, "__next__") else answer


def test_a_job_is_the_same_through_both_doors(stub):
    job = submitted(stub).job
    through_rest = Gateway().get(f"/v1/jobs/{job.id}").json()
    through_grpc = json.loads(call(stub.GetJob, job_pb2.GetJobRequest(id=job.uid)).job.json)
    assert set(through_rest) == set(through_grpc)
    assert through_grpc["progress"] == through_rest["progress"]


def test_a_repeated_submission_is_replayed(stub):
    first, second = submitted(stub), submitted(stub)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.job.id == second.job.id


def test_jobs_and_tasks_are_listed(stub):
    job = submitted(stub).job
    jobs = call(stub.ListJobs, job_pb2.ListJobsRequest(limit=10, status="Pending"))
    assert [each.id for each in jobs.jobs] == [job.id]
    tasks = call(stub.ListTasks, job_pb2.ListTasksRequest(job_id=job.id, limit=1, offset=1))
    assert ([task.name for task in tasks.tasks], tasks.total) == (["b"], 2)


def test_a_watcher_sees_the_job_end(stub):
    job = submitted(stub).job
    watch = stub.WatchJob(job_pb2.WatchJobRequest(id=job.id), timeout=DEADLINE)
    assert next(watch).job.status == "Pending"
    assert call(stub.CancelJob, job_pb2.CancelJobRequest(id=job.id)).job.status == "Cancelled"
    assert [each.job.status for each in watch][-1] == "Cancelled"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "malformed_body"),
        ('{"type":"chat","parameters":{"a":' + "[" * 5_000 + "]" * 5_000 + "}}", "malformed_body"),
        ('{"type":"chatt"}', "invalid_request"),
        ('{"type":"chat","input":"\\u0000"}', "malformed_body"),
    ],
)
def test_bad_input_is_an_invalid_argument_with_rests_code(stub, body, code):
    status, info = refusal(stub.SubmitJob, job_pb2.SubmitJobRequest(body=body))
    assert status == grpc.StatusCode.INVALID_ARGUMENT
    assert info.reason == code


def test_bad_pages_are_refused_by_field(stub):
    for request in (
        job_pb2.ListJobsRequest(limit=-1),
        job_pb2.ListJobsRequest(limit=5000),
        job_pb2.ListJobsRequest(offset=-1),
        job_pb2.ListJobsRequest(status="Done"),
    ):
        status, info = refusal(stub.ListJobs, request)
        assert status == grpc.StatusCode.INVALID_ARGUMENT
        assert len(info.metadata) == 1


def test_another_tenants_job_is_not_found(stub, settings):
    settings.DAEF_API_TOKENS = "alice:tenant:alpha,bob:tenant:beta,olga:operator"
    job = submitted(stub, "alice").job
    for method, request in (
        (stub.GetJob, job_pb2.GetJobRequest(id=job.id)),
        (stub.CancelJob, job_pb2.CancelJobRequest(id=job.id)),
        (stub.ListTasks, job_pb2.ListTasksRequest(job_id=job.id)),
        (stub.WatchJob, job_pb2.WatchJobRequest(id=job.id)),
    ):
        assert refusal(method, request, "bob")[0] == grpc.StatusCode.NOT_FOUND
        assert refusal(method, request)[0] == grpc.StatusCode.UNAUTHENTICATED
        assert refusal(method, request, "olga")[0] == grpc.StatusCode.PERMISSION_DENIED
