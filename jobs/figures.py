"""The loop that keeps the figures; every process that counts runs it, gateways included.

Each second it tells what this process counted, and adds up what transactions tallied. Several may
run: each tells its own counts, one at a time adds. While none runs, tallies wait; nothing is lost.
"""

import threading
import time
from typing import Final

from jobs.actions import figures
from jobs.loops import run_passes
from jobs.metrics import ProcessCounts
from jobs.queries import load
from jobs.transitions.figures import LoadRow

PASS_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 5.0
"""Between two looks at what waits and runs, for the lines by the minute."""

TIDY_SECONDS: Final = 600.0
"""Between two looks for old minutes, and for sums that a process of an older version left off."""

QUIET_SECONDS: Final = 10.0
"""How long mere statistics of the database may wait: to tell them is a statement itself."""


def run_forever(stop: threading.Event) -> None:
    """Keep the figures until told to stop; then tell what is left."""
    teller = Teller()
    run_passes(teller.one_pass, name="figures", seconds=PASS_SECONDS, stop=stop)
    teller.tell()


def start() -> None:
    """Keep the figures in a thread of its own, in a process whose life a web server rules."""
    stop = threading.Event()
    threading.Thread(target=run_forever, args=(stop,), name="figures", daemon=True).start()


class Teller:
    """One process's part in the figures; remembers what it has told, and when it did what."""

    def __init__(self, counts: ProcessCounts | None = None) -> None:
        self._counts = counts or ProcessCounts()
        self._told_at = self._sampled_at = 0.0
        self._tidied_at = -TIDY_SECONDS

    def one_pass(self) -> dict[str, int]:
        """Tell, add up, and now and then sample the load, recount and forget old minutes."""
        self.tell(quietly=True)
        figures.add_tallies()
        now = time.monotonic()
        if now - self._sampled_at > SAMPLE_SECONDS:
            self._sampled_at = now
            figures.note_load([_load_row(row) for row in load.queues()])
        if now - self._tidied_at > TIDY_SECONDS:
            self._tidied_at = now
            return {
                "classes of tasks counted anew": figures.recount_tasks(),
                "old minutes forgotten": figures.forget_minutes(),
            }
        return {}

    def tell(self, *, quietly: bool = False) -> None:
        """Add what this process counted to the sums; what fails is told the next time."""
        counts = self._counts.untold()
        news = any(not name.startswith("django_db_") for name, _ in counts)
        if news or not quietly or time.monotonic() - self._told_at > QUIET_SECONDS:
            figures.add_counts(counts)
            self._counts.told(counts)
            self._told_at = time.monotonic()


def _load_row(row: dict[str, int | float | None]) -> LoadRow:
    return LoadRow(
        int(row["pool_id"] or 0),
        int(row["priority"] or 0),
        int(row["queued"] or 0),
        int(row["running"] or 0),
        float(row["oldest_seconds"] or 0.0),
    )
