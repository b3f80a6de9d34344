"""What an agent from the past says, or one that speaks of what is not its own.

So an agent would speak that was restored from a snapshot of its machine, or whose memory is broken.
Each answer goes into the nemesis's history; nothing of it may have been taken.
"""

import json
import random
import uuid
from collections.abc import Sequence
from typing import Any

import grpc

from proto.daef.v1 import worker_pb2, worker_pb2_grpc
from tests.faults.clients import History
from tests.faults.cluster import Cluster
from tests.faults.mischief.kind import Kind

MOST = 20
FORGED = json.dumps({"value": "forged", "epoch": -1})
CALL_SECONDS = 2.0

RUNNING = """
select t.id, t.epoch, t.owner from task t where t.kind = 'witness' and t.status = 'Running'
    and t.epoch >= %s order by t.started_at desc limit %s
"""

Shares = Sequence[tuple[int, int, int]]
"""Task, epoch, owner."""


class Forger:
    """Speaks to a control plane with the agents' own token."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {cluster.token}"),)

    def __enter__(self) -> "Forger":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def register(self) -> int:
        """A worker that takes no work."""
        request = worker_pb2.RegisterRequest(
            incarnation=str(uuid.uuid4()), name="forger", pool="forgers", slots=1, kinds=["none"]
        )
        return int(self._call(self._stub.Register, request).worker_id)

    def settle(self, worker: int, shares: Sequence[tuple[int, int]]) -> list[str]:
        """Say that these have succeeded; what was answered to each."""
        outcomes = [
            worker_pb2.Outcome(
                task_id=task,
                lease_epoch=epoch,
                kind=worker_pb2.OUTCOME_KIND_SUCCEEDED,
                result=FORGED,
            )
            for task, epoch in shares
        ]
        answer = self._call(
            self._stub.Settle, worker_pb2.SettleRequest(worker_id=worker, outcomes=outcomes)
        )
        return [worker_pb2.SettleStatus.Name(result.status) for result in answer.results]

    def gone(self, worker: int, shares: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """Beat with these shares held; those that the answer says are gone."""
        held = [worker_pb2.TaskLease(task_id=task, lease_epoch=epoch) for task, epoch in shares]
        request = worker_pb2.HeartbeatRequest(worker_id=worker, held=held, free_slots=0)
        answer = self._call(self._stub.Heartbeat, request)
        return {(share.task_id, share.lease_epoch) for share in answer.gone}

    def _call(self, method: Any, request: object) -> Any:
        return method(request, timeout=CALL_SECONDS, metadata=self._metadata)


def strange_settlement(cluster: Cluster, chance: random.Random) -> str:
    """A worker settles what others run, with the right epochs."""
    shares = _running(cluster, 1)
    if not shares:
        return ""
    with Forger(cluster, chance.choice(cluster.grpc)) as forger:
        said = forger.settle(forger.register(), [share[:2] for share in shares])
    return _noted(cluster, "strange settlement", said, {"SETTLE_STATUS_FENCED"})


def old_settlement(cluster: Cluster, chance: random.Random) -> str:
    """Workers settle what they run, but under the lease before this one."""
    owner, shares = _of_one_owner(cluster)
    if not shares:
        return ""
    with Forger(cluster, chance.choice(cluster.grpc)) as forger:
        said = forger.settle(owner, [(task, epoch - 1) for task, epoch, _ in shares])
    # The lease before may have been this worker's own, and settled.
    return _noted(
        cluster, "old settlement", said, {"SETTLE_STATUS_FENCED", "SETTLE_STATUS_REPEATED"}
    )


def old_heartbeat(cluster: Cluster, chance: random.Random) -> str:
    """A worker names, beside what it holds, leases that it had before."""
    owner, shares = _of_one_owner(cluster)
    if not shares:
        return ""
    old = [(task, epoch - 1) for task, epoch, _ in shares]
    with Forger(cluster, chance.choice(cluster.grpc)) as forger:
        gone = forger.gone(owner, [*(share[:2] for share in shares), *old])
    said = ["gone" if share in gone else "held" for share in old]
    return _noted(cluster, "old heartbeat", said, {"gone"})


def _running(cluster: Cluster, epoch: int) -> Shares:
    with cluster.connect() as connection:
        rows: list[Any] = connection.execute(RUNNING, (epoch, MOST)).fetchall()
    return rows


def _of_one_owner(cluster: Cluster) -> tuple[int, Shares]:
    """A worker with shares of tasks that were claimed before, and those shares."""
    shares = _running(cluster, 2)
    owner = shares[0][2] if shares else 0
    return owner, [share for share in shares if share[2] == owner]


def _noted(cluster: Cluster, what: str, said: list[str], allowed: set[str]) -> str:
    history = History(cluster.data / "histories" / "nemesis.jsonl", "nemesis")
    wrong = [answer for answer in said if answer not in allowed]
    history.write(what, "fail" if wrong else "ok", {"said": said})
    history.close()
    return f"{len(said)} tasks"


FORGERIES = {
    "strange settlement": Kind(4, strange_settlement),
    "old settlement": Kind(5, old_settlement),
    "old heartbeat": Kind(4, old_heartbeat),
}
