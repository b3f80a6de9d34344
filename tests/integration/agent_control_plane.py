"""A small control plane in this process, speaking worker.proto, for tests of the agent."""

import hashlib
import itertools
import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

from proto.daef.v1 import worker_pb2, worker_pb2_grpc

TOKEN = "agent-token"
LEASE_SECONDS = 3.0


@dataclass
class FakeControlPlane(worker_pb2_grpc.WorkerServiceServicer):
    """State in plain attributes; `settled` maps a task to the outcomes applied to it."""

    lease_seconds: float = LEASE_SECONDS
    heartbeat_seconds: float = 0.2
    queue_url: str = ""
    queue_name: str = "daef-default"
    ready: deque[worker_pb2.ClaimedTask] = field(default_factory=deque)
    registered: list[worker_pb2.RegisterRequest] = field(default_factory=list)
    deregistered: list[worker_pb2.RegisterRequest] = field(default_factory=list)
    leases: dict[int, int] = field(default_factory=dict)
    settled: dict[int, list[worker_pb2.Outcome]] = field(default_factory=dict)
    settle_calls: int = 0
    gone: set[int] = field(default_factory=set)
    busy: set[int] = field(default_factory=set)
    last_held: set[tuple[int, int]] = field(default_factory=set)
    drain: bool = False
    artifacts: dict[Any, bytes] = field(default_factory=dict)
    log_lines: list[worker_pb2.LogLine] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    fail_settle_after_apply: int = 0
    forget_workers: bool = False
    port: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.epochs: dict[int, int] = {}
        self.server: grpc.Server | None = None

    # The server's life

    def start(self) -> None:
        """Listen on loopback, on the same port as before after a stop."""
        deadline = time.monotonic() + 10
        self.port = self.port or free_port()
        while True:
            self.server = grpc.server(
                futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)]
            )
            worker_pb2_grpc.add_WorkerServiceServicer_to_server(self, self.server)
            try:
                self.server.add_insecure_port(f"127.0.0.1:{self.port}")
                break
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
        self.server.start()

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        assert self.server is not None
        self.server.stop(0).wait()

    # What tests do

    def add(self, kind: str = "echo", count: int = 1, **fields: Any) -> list[int]:
        """Make tasks ready; answers their ids."""
        given: dict[str, Any] = {
            "input": json.dumps("hello"),
            "parameters": "{}",
            "ceiling_nano_usd": -1,
        }
        if "parameters" in fields:
            fields["parameters"] = json.dumps(fields["parameters"])
        tasks = []
        for _ in range(count):
            task_id = 1 << 20 | next(self.numbers)
            tasks.append(
                worker_pb2.ClaimedTask(
                    task_id=task_id, kind=kind, name=f"t{task_id}", **{**given, **fields}
                )
            )
        with self.lock:
            self.ready.extend(tasks)
        return [task.task_id for task in tasks]

    def outcomes(self, task_id: int) -> list[worker_pb2.Outcome]:
        """The outcomes applied to a task so far."""
        return self.settled.get(task_id, [])

    # The service

    def Register(self, request, context):
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        self.forget_workers = False
        self.registered.append(request)
        return worker_pb2.RegisterResponse(
            worker_id=len(self.registered),
            lease_seconds=self.lease_seconds,
            heartbeat_seconds=self.heartbeat_seconds,
            queue_url=self.queue_url,
            queue_name=self.queue_name,
        )

    def Claim(self, request, context):
        self._check(request, context)
        with self.lock:
            return worker_pb2.ClaimResponse(tasks=self._claim(request.want))

    def Heartbeat(self, request, context):
        self._check(request, context)
        with self.lock:
            self.last_held = {(one.task_id, one.lease_epoch) for one in request.held}
            gone = [
                one
                for one in request.held
                if (one.task_id in self.gone or self.leases.get(one.task_id) != one.lease_epoch)
            ]
            for one in gone:
                self.leases.pop(one.task_id, None)
            return worker_pb2.HeartbeatResponse(
                gone=gone, drain=self.drain, work_waiting=bool(self.ready)
            )

    def Settle(self, request, context):
        self._check(request, context)
        with self.lock:
            self.settle_calls += 1
            results = [self._apply(outcome) for outcome in request.outcomes]
            self.statuses.extend(result.status for result in results)
            if self.fail_settle_after_apply:
                self.fail_settle_after_apply -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
            return worker_pb2.SettleResponse(results=results, tasks=self._claim(request.want))

    def ReportProgress(self, request, context):
        self.log_lines.extend(request.lines)
        return worker_pb2.ReportProgressResponse()

    def ReadArtifact(self, request, context) -> Iterator[worker_pb2.ReadArtifactResponse]:
        data = self.artifacts.get((request.task_id, request.artifact))
        data = self.artifacts.get(request.artifact) if data is None else data
        if data is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such artifact")
        assert data is not None
        for start in range(0, len(data), 256 * 1024):
            yield worker_pb2.ReadArtifactResponse(data=data[start : start + 256 * 1024])

    def WriteArtifact(self, request_iterator, context):
        data = b"".join(chunk.data for chunk in request_iterator)
        sha256 = hashlib.sha256(data).hexdigest()
        self.artifacts[sha256] = data
        return worker_pb2.WriteArtifactResponse(sha256=sha256, size_bytes=len(data))

    def Deregister(self, request, context):
        self.deregistered.append(request.worker_id)
        return worker_pb2.DeregisterResponse()

    def _check(self, request, context) -> None:
        if self.forget_workers or request.worker_id != len(self.registered):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "unknown worker")

    def _claim(self, want: int) -> list[worker_pb2.ClaimedTask]:
        tasks = [self.ready.popleft() for _ in range(min(want, len(self.ready)))]
        for task in tasks:
            self.epochs[task.task_id] = self.epochs.get(task.task_id, 0) + 1
            task.lease_epoch = self.leases[task.task_id] = self.epochs[task.task_id]
            task.attempt = 1 + sum(
                outcome.kind == worker_pb2.OUTCOME_KIND_FAILED
                for outcome in self.outcomes(task.task_id)
            )
        return tasks

    def _apply(self, outcome: worker_pb2.Outcome) -> worker_pb2.SettleResult:
        result = worker_pb2.SettleResult(task_id=outcome.task_id, lease_epoch=outcome.lease_epoch)
        before = [one.lease_epoch for one in self.outcomes(outcome.task_id)]
        if outcome.task_id in self.busy:
            result.status = worker_pb2.SETTLE_STATUS_BUSY
        elif outcome.lease_epoch in before:
            result.status = worker_pb2.SETTLE_STATUS_REPEATED
        elif self.leases.get(outcome.task_id) != outcome.lease_epoch:
            result.status = worker_pb2.SETTLE_STATUS_FENCED
        else:
            result.status = worker_pb2.SETTLE_STATUS_APPLIED
            del self.leases[outcome.task_id]
            self.settled.setdefault(outcome.task_id, []).append(outcome)
        return result


def free_port() -> int:
    """A port that nobody listens on, below the range that outgoing connections use."""
    for port in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)
