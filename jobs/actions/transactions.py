"""One durable transaction, tried again where the database asks for it."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

P = ParamSpec("P")
R = TypeVar("R")

RETRIED = {"40001": "serialization_failure", "40P01": "deadlock_detected"}
"""SQLSTATEs after which the same transaction may be run again (PostgreSQL, appendix A)."""

TRIES = 3


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


def _outermost() -> bool:
    """Whether to insist on durability; pytest-django wraps a test in a transaction of its own."""
    return not connection.in_atomic_block


def _may_run_again(error: OperationalError) -> bool:
    if connection.in_atomic_block:
        return False
    return getattr(error.__cause__, "sqlstate", None) in RETRIED
