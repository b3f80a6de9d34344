"""Every test of the domain ends with a sound database, whatever it did."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.minutes import early_in_a_minute
from tests.integration.worker_door import channel as channel  # a fixture

CALM_SECONDS = 10.0
"""As long as a test may take that counts what happens in one minute."""


@pytest.fixture
def calm_minute(db: None) -> Callable[[], int]:
    """Waits until no minute begins for a while; answers the seconds left, by the database."""
    from jobs.transitions.sql import fetch

    early_in_a_minute(CALM_SECONDS)
    left = "select ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::int"
    return lambda: int(fetch(left)[0][0])


@pytest.fixture
def sound_database(db: None) -> Iterator[None]:
    """Recompute all invariants when the test is over."""
    yield
    from jobs import integrity

    assert integrity.check_all() == []
