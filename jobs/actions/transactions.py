"""One durable transaction, tried again where the database asks for it."""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

from jobs.transitions.sql import fetch

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

RETRIED = {"40001": "serialization_failure", "40P01": "deadlock_detected"}
"""SQLSTATEs after which the same transaction may be run again (PostgreSQL, appendix A)."""

TRIES = 3

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not given within lock_timeout."""

QUIET_SECONDS = 10.0
"""Between two log lines about locks that somebody holds."""

BRIEF_MILLISECONDS = 500
"""How long those wait for a lock behind whom others wait. Our own transactions hold what they hold
for hundredths of a second; whatever takes longer is somebody's who should not stop the rest."""


def in_transaction(function: Callable[P, R]) -> Callable[P, R]:
    """Run the function in one outermost transaction, again after a deadlock.

    The function has to be free of effects outside the database, since it may run again.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for remaining in reversed(range(TRIES)):
            try:
                with transaction.atomic(durable=_outermost()):
                    return function(*args, **kwargs)
            except OperationalError as error:
                if not remaining or not _may_run_again(error):
                    raise
                time.sleep(random.uniform(0.005, 0.05))
        raise AssertionError("unreachable")

    return run


def in_brief_transaction(function: Callable[P, R]) -> Callable[P, R]:
    """`in_transaction` that waits for no lock longer than BRIEF_MILLISECONDS.

    Then it raises an OperationalError of which `is_locked_out` is true.
    """

    @in_transaction
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        wait_briefly()
        return function(*args, **kwargs)

    return run


def wait_briefly(milliseconds: int = BRIEF_MILLISECONDS) -> None:
    """From here to the end of the transaction wait for no lock longer than that."""
    fetch("select set_config('lock_timeout', %s, true)", (str(milliseconds),))


def is_locked_out(error: BaseException) -> bool:
    """Whether a lock was waited for in vain: somebody else holds it for long."""
    return getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE


def unless_locked_out(function: Callable[[], int]) -> int:
    """What the function answers; 0 where a lock was in its way, for its next time."""
    try:
        return function()
    except OperationalError as error:
        if not is_locked_out(error):
            raise
        _complaint.warn(error)
        return 0


class _Complaint:
    """One line now and then: whoever is locked out comes again and again."""

    def __init__(self) -> None:
        self._next = 0.0

    def warn(self, error: OperationalError) -> None:
        """Log what stands in the way, unless that was just done."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + QUIET_SECONDS
            logger.warning("left for the next time, a lock is in the way: %s", str(error).strip())


_complaint = _Complaint()


def _outermost() -> bool:
    """Whether to insist on durability; pytest-django wraps a test in a transaction of its own."""
    return not connection.in_atomic_block


def _may_run_again(error: OperationalError) -> bool:
    if connection.in_atomic_block:
        return False
    return getattr(error.__cause__, "sqlstate", None) in RETRIED
