"""How commands that call actions of jobs end when they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.core.management.base import CommandError

from access.command_line import REFUSED_STATUS
from access.errors import AccessError
from jobs.errors import DaefError
from jobs.failures import as_daef_error

FAULT_STATUS: Final = 1
INTERRUPTED_STATUS: Final = 130

OPTIONS: Final = {"confirmation_required": "--confirm TOKEN"}
"""What a command takes in place of the header that an error speaks of, by the error's code."""


@contextmanager
def refusals_told() -> Iterator[None]:
    """Turn a refusal into one line that names the remedy, and its exit status."""
    try:
        yield
    except (DaefError, AccessError) as error:
        told = as_daef_error(error)
        hint = f" Here: {OPTIONS[told.code]}." if told.code in OPTIONS else ""
        status = REFUSED_STATUS if told.http_status < 500 else FAULT_STATUS
        raise CommandError(told.detail + hint, returncode=status) from error
