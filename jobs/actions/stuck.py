"""Jobs whose rows somebody else holds for long: left alone for a while, so that the rest goes on.

None of our own transactions holds a row for long. A person's session may, or a process that was
stopped in the middle of one, until the database ends it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from django.db import OperationalError

from jobs.actions.transactions import is_locked_out
from jobs.states import job_name

logger = logging.getLogger(__name__)

LEFT_ALONE_SECONDS = 5.0
"""How long a stuck job is left alone before it is tried again."""


class Repair(Protocol):
    """Does something for many jobs in one transaction; returns how much."""

    def __call__(self, *, job: int | None = None, without: Sequence[int] = ()) -> int:
        """For all but the jobs ``without``, or for one job."""
        ...


class StuckJobs:
    """A controller's or a claimer's memory of the jobs that held it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[int, float] = {}

    def add(self, jobs: Sequence[int]) -> None:
        """Leave these alone from now on."""
        for job in jobs:
            logger.warning("%s is left alone for now: somebody holds its rows", job_name(job))
        with self._lock:
            self._until |= dict.fromkeys(jobs, time.monotonic() + LEFT_ALONE_SECONDS)

    def now(self) -> list[int]:
        """Those to be left alone at this moment."""
        now = time.monotonic()
        with self._lock:
            self._until = {job: until for job, until in self._until.items() if until > now}
            return sorted(self._until)

    def around(self, repair: Repair, candidates: Callable[[], Iterable[int]]) -> int:
        """Repair all at once; where a lock is in its way, each of the candidates by itself."""
        try:
            return repair(without=self.now())
        except OperationalError as error:
            if not is_locked_out(error):
                raise
        return sum(self._one(repair, job) for job in sorted({*candidates()} - {*self.now()}))

    def _one(self, repair: Repair, job: int) -> int:
        try:
            return repair(job=job)
        except OperationalError as error:
            if not is_locked_out(error):
                raise
            self.add([job])
            return 0
