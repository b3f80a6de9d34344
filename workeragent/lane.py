"""A lane makes one call after the other: claim, settle, or both at once."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from faultpoints import reach
from proto.daef.v1 import worker_pb2
from workeragent.client import (
    BACKOFF_SECONDS,
    CallError,
    ControlPlane,
    RefusedError,
    UnknownWorkerError,
    UnreachableError,
    retried,
)
from workeragent.work import Errand, Work

BUSY = worker_pb2.SETTLE_STATUS_BUSY

logger = logging.getLogger(__name__)


class Lane:
    """One thread's worth of calls. ``dispatch`` sends newly claimed tasks to the runner."""

    def __init__(
        self,
        control_plane: ControlPlane,
        registered: worker_pb2.RegisterResponse,
        work: Work,
        dispatch: Callable[[], None],
        lost: Callable[[str], None],
        over: threading.Event,
    ) -> None:
        self._control_plane = control_plane
        self._worker_id = registered.worker_id
        self._lease_seconds = registered.lease_seconds
        self._work = work
        self._dispatch = dispatch
        self._lost = lost
        self._over = over
        self._pause = BACKOFF_SECONDS[0]

    def run(self) -> None:
        """Call until the session is over."""
        while (errand := self._work.next()) is not None:
            self.make(errand)

    def make(self, errand: Errand) -> None:
        """Make one call and book its answer; never raises for what was answered."""
        sent = time.monotonic()
        try:
            tasks = self._settle(errand) if errand.outcomes else self._claim(errand.want)
        except UnknownWorkerError as error:
            self._work.failed(errand)
            self._lost(error.status)
            self._over.wait()
        except CallError as error:
            logger.warning("no new work for now: %s", error.status)
            self._over.wait(self._pause)
            self._pause = min(BACKOFF_SECONDS[1], self._pause * 2)
            self._work.failed(errand)
        else:
            self._pause = BACKOFF_SECONDS[0]
            if tasks:
                reach("worker.after_claim_before_exec")
            self._work.answered(errand, tasks, sent + self._lease_seconds)
            self._dispatch()

    def _claim(self, want: int) -> Sequence[worker_pb2.ClaimedTask]:
        request = worker_pb2.ClaimRequest(worker_id=self._worker_id, want=want)
        return self._control_plane.claim(request).tasks

    def _settle(self, errand: Errand) -> Sequence[worker_pb2.ClaimedTask]:
        """Settle, sending the same again until it is answered or the leases have ended."""
        request = worker_pb2.SettleRequest(
            worker_id=self._worker_id, outcomes=errand.outcomes, want=errand.want
        )

        def worth_repeating() -> bool:
            # The lost answer may have brought tasks: heartbeats free those, so ask for no more.
            request.want = 0
            return self._work.any_held(errand.outcomes)

        reach("worker.after_exec_before_settle")
        try:
            response = retried(
                lambda: self._control_plane.settle(request), worth_repeating, self._over
            )
        except UnreachableError:
            self._work.settled(errand.outcomes)
            raise
        except RefusedError as error:
            return self._settle_apart(errand, error)
        reach("worker.after_settle_before_ack")
        busy = {told.task_id for told in response.results if told.status == BUSY}
        self._work.settled([each for each in errand.outcomes if each.task_id not in busy])
        self._work.postpone([each for each in errand.outcomes if each.task_id in busy])
        _log_refused(response.results)
        return response.tasks

    def _settle_apart(
        self, errand: Errand, error: RefusedError
    ) -> Sequence[worker_pb2.ClaimedTask]:
        """A request was refused as a whole: find the outcome that is to blame, settle the rest."""
        outcomes = errand.outcomes
        if len(outcomes) == 1:
            logger.error("outcome of task %d refused: %s", outcomes[0].task_id, error.status)
            self._work.settled(outcomes)
            return ()
        middle = len(outcomes) // 2
        self._settle(Errand(outcomes[:middle], 0))
        return self._settle(Errand(outcomes[middle:], 0))


def _log_refused(results: Sequence[worker_pb2.SettleResult]) -> None:
    statuses = [result.status for result in results]
    if fenced := statuses.count(worker_pb2.SETTLE_STATUS_FENCED):
        logger.info("%d tasks were not ours any more when they ended", fenced)
    if rejected := statuses.count(worker_pb2.SETTLE_STATUS_REJECTED):
        logger.warning("%d outcomes were rejected as invalid", rejected)
