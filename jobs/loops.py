"""The shell round every controller: one pass after the other until told to stop."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, close_old_connections

logger = logging.getLogger(__name__)


def run_passes(
    one_pass: Callable[[], dict[str, int]], *, name: str, seconds: float, stop: threading.Event
) -> None:
    """Run ``one_pass`` every ``seconds``; a database that is away costs passes, never the loop.

    The pass returns counts of what it did; what is not zero is logged.
    """
    while not stop.is_set():
        began = time.monotonic()
        try:
            counts = {key: value for key, value in one_pass().items() if value}
            if counts:
                logger.info("%s: %s", name, ", ".join(f"{k} {v}" for k, v in counts.items()))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("%s: no pass, the database says: %s", name, str(error).strip())
        except Exception:
            logger.exception("%s: a pass failed", name)
        finally:
            close_old_connections()
        stop.wait(max(0.05, seconds - (time.monotonic() - began)))
