"""Wake-ups for agents. A ticket says "your pool has work", never which.

Lost, repeated and shuffled tickets cost latency only: the ticketer rings again every second
while work is ready, and heartbeats tell agents too. Ringing therefore never blocks and never
fails a request.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from prometheus_client import Counter

from faultpoints import reach
from queueing.rq_client import QueueUnavailable, TicketQueue

logger = logging.getLogger(__name__)

QUIET_SECONDS = 30.0
"""Between two log lines about a Redis that does not answer."""

TICKETS = Counter("daef_tickets", "Wake-ups for agents, by what became of them.", ["event"])

EVENTS = ("written", "refused", "taken")
"""What is counted of tickets: those in Redis, those it did not take, those an agent took."""


@dataclass
class Ringer:
    """A thread that pushes tickets; calls that come while it works are merged per pool."""

    _due: dict[str, int] = field(default_factory=dict)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None
    _last_complaint: float = 0.0

    def ring(self, pool: str, tickets: int) -> None:
        """Ask for up to ``tickets`` wake-ups; returns at once."""
        with self._wake:
            self._due[pool] = max(self._due.get(pool, 0), tickets)
            self._start()
            self._wake.notify()

    def _start(self) -> None:
        """The thread is made by the process that rings: none is alive behind a fork."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        queue = TicketQueue()
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._due)
                due, self._due = self._due, {}
            for pool, tickets in due.items():
                self._push(queue, pool, tickets)

    def _push(self, queue: TicketQueue, pool: str, tickets: int) -> None:
        try:
            written = queue.push(pool, tickets)
            if written:
                TICKETS.labels("written").inc(written)
                reach("ticketer.after_push")
        except QueueUnavailable as error:
            TICKETS.labels("refused").inc(tickets)
            if time.monotonic() - self._last_complaint > QUIET_SECONDS:
                self._last_complaint = time.monotonic()
                logger.warning(
                    "Redis does not take tickets (%s); agents learn of work by their heartbeats",
                    error,
                )


_ringer = Ringer()


def ring(pool: str, tickets: int = 1) -> None:
    """Wake up to ``tickets`` agents of a pool."""
    if tickets > 0:
        _ringer.ring(pool, tickets)
