"""The controller that checks the audit log, so that a breach is known before anybody asks.

A loop of its own: it reads much, a little at a time, and nothing waits for it. Any number may
run; one works at a time.
"""

import threading

from audit.checks import check_some
from jobs.loops import run_passes

PASS_SECONDS = 10.0


def run_forever(stop: threading.Event) -> None:
    """Check until told to stop."""
    run_passes(check_some, name="auditor", seconds=PASS_SECONDS, stop=stop)
