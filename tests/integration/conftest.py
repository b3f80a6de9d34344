"""Every test of the domain ends with a sound database, whatever it did."""

import time
from collections.abc import Callable, Iterator

import pytest

CALM_SECONDS = 10
"""As long as a test may take that counts what happens in one minute."""


@pytest.fixture
def calm_minute(db: None) -> Callable[[], int]:
    """Waits until no minute begins for a while; answers the seconds left, by the database."""
    from jobs.transitions.sql import fetch

    def seconds_left() -> int:
        left = fetch("select ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::int")
        return int(left[0][0])

    deadline = time.monotonic() + 30
    while seconds_left() < CALM_SECONDS and time.monotonic() < deadline:
        time.sleep(0.1)
    return seconds_left


@pytest.fixture
def sound_database(db: None) -> Iterator[None]:
    """Recompute all invariants when the test is over."""
    yield
    from jobs import integrity

    assert integrity.check_all() == []
