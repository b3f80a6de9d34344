"""Every test of the domain ends with a sound database, whatever it did."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def sound_database(db: None) -> Iterator[None]:
    """Recompute all invariants when the test is over."""
    yield
    from jobs import integrity

    assert integrity.check_all() == []
