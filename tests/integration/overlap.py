"""Two transactions at the same time, in an order that is the same each time."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from jobs.transitions.sql import fetch

PATIENCE_SECONDS = 10.0


def overlapping(
    first: Callable[[], object],
    second: Callable[[], object],
    *,
    then: Callable[[], object] = lambda: None,
) -> bool:
    """Run ``second`` on a connection of its own before ``first`` is committed.

    When ``second`` has ended or waits for a lock, ``then`` runs and the commit follows; answers
    whether it waited.
    Needs a test with real transactions.
    """
    errors: list[BaseException] = []

    def other() -> None:
        try:
            second()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        first()
        thread.start()
        waited = _until_it_waits(thread)
        then()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    if errors:
        raise errors[0]
    return waited


def _until_it_waits(thread: threading.Thread) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while thread.is_alive():
        waiting: list[tuple[Any, ...]] = fetch("select count(*) from pg_locks where not granted")
        if waiting[0][0]:
            return True
        assert time.monotonic() < deadline, "the second transaction neither ends nor waits"
        time.sleep(0.01)
    return False
