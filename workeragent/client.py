"""gRPC to the control plane: a deadline on every call, three kinds of failure, calm retries."""

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc

from proto.daef.v1 import worker_pb2, worker_pb2_grpc
from workeragent.config import Transport

MESSAGE_BYTES = 8 * 1024 * 1024
"""Largest message taken from the control plane."""

CHUNK_BYTES = 256 * 1024
"""Size of an artifact's chunks; `ReadArtifactResponse` names the same."""

CALL_SECONDS = 10.0
"""Deadline of a unary call that may wait behind others, such as Settle."""

CLAIM_SECONDS = 4.0
"""Deadline of a Claim: shorter than the 5 s after which unnamed shares are taken for lost."""

STREAM_SECONDS = 120.0
"""Deadline of one artifact's transfer."""

BACKOFF_SECONDS = (0.05, 2.0)
"""First and longest wait between two tries."""

UNREACHABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        # The control plane stumbled, over its database for example: nothing says it would again.
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)

UNKNOWN_WORKER = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAUTHENTICATED})

Answer = TypeVar("Answer")


class CallError(Exception):
    """A call failed; ``status`` is the gRPC status name, ``details`` the server's words."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(f"{status}: {details}")
        self.status = status
        self.details = details


class UnreachableError(CallError):
    """The control plane did not answer in time; the same call may be sent again."""


class UnknownWorkerError(CallError):
    """The control plane does not know this incarnation or its token (any more)."""


class RefusedError(CallError):
    """The control plane answered no; sending the same again would not help."""


def backoff() -> Iterator[float]:
    """Seconds to wait before each further try: doubling, jittered, never over the longest."""
    first, longest = BACKOFF_SECONDS
    for attempt in itertools.count():
        ceiling = min(longest, first * 2 ** min(attempt, 16))
        yield ceiling * random.uniform(0.5, 1.0)


class ControlPlane:
    """The calls of `WorkerService`. Safe to use from several threads.

    Every method raises UnreachableError, UnknownWorkerError or RefusedError.
    """

    def __init__(self, transport: Transport) -> None:
        self._channel = _channel(transport)
        self._stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self._metadata = (
            (("authorization", f"Bearer {transport.token}"),) if transport.token else ()
        )

    def close(self) -> None:
        """Give the connection back; calls under way end as unreachable."""
        self._channel.close()

    def register(self, request: worker_pb2.RegisterRequest) -> worker_pb2.RegisterResponse:
        """Bind this incarnation to the token."""
        return self._call(self._stub.Register, request, CALL_SECONDS)

    def claim(self, request: worker_pb2.ClaimRequest) -> worker_pb2.ClaimResponse:
        """Take ready tasks. A lost answer is found out by the heartbeats."""
        return self._call(self._stub.Claim, request, CLAIM_SECONDS)

    def settle(self, request: worker_pb2.SettleRequest) -> worker_pb2.SettleResponse:
        """Report outcomes, once; the caller sends them again when unanswered."""
        return self._call(self._stub.Settle, request, CALL_SECONDS)

    def heartbeat(
        self, request: worker_pb2.HeartbeatRequest, seconds: float
    ) -> worker_pb2.HeartbeatResponse:
        """Keep the leases, within ``seconds``."""
        return self._call(self._stub.Heartbeat, request, seconds)

    def report_progress(self, request: worker_pb2.ReportProgressRequest) -> None:
        """Append log lines to running tasks."""
        self._call(self._stub.ReportProgress, request, CALL_SECONDS)

    def deregister(self, worker_id: int) -> None:
        """End the incarnation."""
        request = worker_pb2.DeregisterRequest(worker_id=worker_id)
        self._call(self._stub.Deregister, request, CALL_SECONDS)

    def read_artifact(self, request: worker_pb2.ReadArtifactRequest) -> bytes:
        """The whole artifact."""
        try:
            stream = self._stub.ReadArtifact(
                request, timeout=STREAM_SECONDS, metadata=self._metadata
            )
            return b"".join(chunk.data for chunk in stream)
        except grpc.RpcError as error:
            raise _translated(error) from error

    def write_artifact(self, head: worker_pb2.WriteArtifactRequest, data: bytes) -> str:
        """Store bytes under the lease that ``head`` names; answers their hex SHA-256."""
        chunks = _chunks(head, data)
        return str(self._call(self._stub.WriteArtifact, chunks, STREAM_SECONDS).sha256)

    def _call(self, method: Callable[..., Any], request: object, seconds: float) -> Any:
        try:
            return method(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _translated(error) from error
        except ValueError as error:  # grpc's answer to a call on a closed channel
            raise UnreachableError("CANCELLED", str(error)) from error


def retried(
    call: Callable[[], Answer], may_go_on: Callable[[], bool], stop: threading.Event
) -> Answer:
    """Call until it is answered, ``stop`` is set or ``may_go_on`` says no.

    Raises UnreachableError in the last two cases, and at once whatever is not worth a retry.
    """
    for wait in backoff():
        try:
            return call()
        except UnreachableError:
            if not may_go_on() or stop.wait(wait):
                raise
    raise AssertionError("unreachable")  # backoff() never ends


def _translated(error: grpc.RpcError) -> CallError:
    status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call) else "") or ""
    if status in UNREACHABLE:
        return UnreachableError(status.name, details)
    if status in UNKNOWN_WORKER:
        return UnknownWorkerError(status.name, details)
    return RefusedError(status.name, details)


def _chunks(
    head: worker_pb2.WriteArtifactRequest, data: bytes
) -> Iterable[worker_pb2.WriteArtifactRequest]:
    head.data = data[:CHUNK_BYTES]
    yield head
    for start in range(CHUNK_BYTES, len(data), CHUNK_BYTES):
        yield worker_pb2.WriteArtifactRequest(data=data[start : start + CHUNK_BYTES])


def _channel(transport: Transport) -> grpc.Channel:
    options = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.enable_http_proxy", 0),
        # Retries are ours: gRPC's own would hide how long an answer was late.
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if not transport.secure:
        return grpc.insecure_channel(transport.address, options)
    return grpc.secure_channel(transport.address, _credentials(transport), options)


def _credentials(transport: Transport) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=Path(transport.ca_file).read_bytes(),
        private_key=Path(transport.key_file).read_bytes() if transport.key_file else None,
        certificate_chain=Path(transport.cert_file).read_bytes() if transport.cert_file else None,
    )
