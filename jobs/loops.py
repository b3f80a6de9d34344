"""The shell round every controller: one pass after the other until told to stop."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, close_old_connections

logger = logging.getLogger(__name__)

LEAST_SECONDS = 0.05
"""The shortest pause between two passes, whatever is due."""


def run_passes(
    one_pass: Callable[[], dict[str, int]],
    *,
    name: str,
    seconds: float,
    stop: threading.Event,
    due: Callable[[], float | None] = lambda: None,
) -> None:
    """Run ``one_pass`` every ``seconds``; a database that is away costs passes, never the loop.

    The pass returns counts of what it did; what is not zero is logged. ``due`` is asked after it
    and answers in how many seconds there is something to do, if it knows: then the next pass
    comes that early.
    """
    while not stop.is_set():
        began = time.monotonic()
        early = _one_pass(one_pass, due, name)
        now = time.monotonic()
        next_pass = began + seconds if early is None else min(began + seconds, now + early)
        stop.wait(max(LEAST_SECONDS, next_pass - now))


def _one_pass(
    one_pass: Callable[[], dict[str, int]], due: Callable[[], float | None], name: str
) -> float | None:
    try:
        counts = {key: value for key, value in one_pass().items() if value}
        if counts:
            logger.info("%s: %s", name, ", ".join(f"{k} {v}" for k, v in counts.items()))
        return due()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("%s: no pass, the database says: %s", name, str(error).strip())
    except Exception:
        logger.exception("%s: a pass failed", name)
    finally:
        close_old_connections()
    return None
