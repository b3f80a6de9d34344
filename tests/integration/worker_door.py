"""The agents' door over a real gRPC server, and an agent played by the test."""

import uuid
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daef_site import ports
from jobs.rpc.server import serve
from proto.daef.v1 import worker_pb2, worker_pb2_grpc

WORKER, OTHER, METRICS = "worker-token", "other-worker-token", "metrics-token"
TOKENS = f"{WORKER}:worker,{OTHER}:worker,{METRICS}:metrics"


@pytest.fixture
def channel(settings) -> Iterator[grpc.Channel]:
    """A channel to a server of this process."""
    settings.DAEF_API_TOKENS = TOKENS
    address = f"127.0.0.1:{ports.free_port()}"
    server = serve(address)
    with grpc.insecure_channel(address) as open_channel:
        yield open_channel
    server.stop(0).wait()


class Agent:
    """A registered agent played by the test."""

    def __init__(self, channel: grpc.Channel, token: str = WORKER) -> None:
        self.stub = worker_pb2_grpc.WorkerServiceStub(channel)
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.worker_id = self.call("Register", registration()).worker_id

    def call(self, method: str, request, **options):
        """Call a method with the agent's token."""
        return getattr(self.stub, method)(request, metadata=self.metadata, timeout=10, **options)

    def claim(self, want: int = 1):
        """Claimed tasks."""
        return self.call(
            "Claim", worker_pb2.ClaimRequest(worker_id=self.worker_id, want=want)
        ).tasks

    def settle(self, *outcomes, want: int = 0):
        """The whole answer of a Settle."""
        return self.call(
            "Settle",
            worker_pb2.SettleRequest(worker_id=self.worker_id, outcomes=outcomes, want=want),
        )

    def read(self, task, artifact: str) -> bytes:
        """All chunks of an artifact."""
        request = worker_pb2.ReadArtifactRequest(
            worker_id=self.worker_id,
            task_id=task.task_id,
            lease_epoch=task.lease_epoch,
            artifact=artifact,
        )
        return b"".join(chunk.data for chunk in self.call("ReadArtifact", request))

    def write(self, task, data: bytes) -> str:
        """The SHA-256 of a stored artifact."""
        lease = {
            "worker_id": self.worker_id,
            "task_id": task.task_id,
            "lease_epoch": task.lease_epoch,
            "media_type": "application/json",
        }
        chunks = [data[start : start + 100_000] for start in range(0, len(data), 100_000)]
        requests = [worker_pb2.WriteArtifactRequest(**lease, data=chunk) for chunk in chunks]
        return self.call("WriteArtifact", iter(requests)).sha256


def registration(**more) -> worker_pb2.RegisterRequest:
    values = {
        "incarnation": str(uuid.uuid4()),
        "name": "alice",
        "node": "node-1",
        "pool": "default",
        "slots": 4,
        "kinds": ["echo"],
        "version": "test",
        **more,
    }
    return worker_pb2.RegisterRequest(**values)


def succeeded(task, result: str = "1", **more) -> worker_pb2.Outcome:
    return worker_pb2.Outcome(
        task_id=task.task_id,
        lease_epoch=task.lease_epoch,
        kind=worker_pb2.OUTCOME_KIND_SUCCEEDED,
        result=result,
        **more,
    )


def refusal(call) -> tuple[grpc.StatusCode, str]:
    """Status and ErrorInfo reason of a call that has to fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    if status and status.details:
        status.details[0].Unpack(info)
    return caught.value.code(), info.reason


def register_with(channel: grpc.Channel, metadata, **more):
    stub = worker_pb2_grpc.WorkerServiceStub(channel)
    return lambda: stub.Register(registration(**more), metadata=metadata, timeout=10)
