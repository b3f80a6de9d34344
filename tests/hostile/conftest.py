"""A real gateway for the tests that send it what no friend would."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.fabrics import RunningFabric

TOKEN = "hostile-tests-token"


@pytest.fixture(scope="session")
def fabric(make_folder: Callable[[], Path]) -> Iterator[RunningFabric]:
    """A gateway without tokens, open on loopback."""
    running = RunningFabric(make_folder() / "fabric", DAEF_SUBMIT_RATE_LIMIT_PER_MIN="")
    try:
        yield running.wait_ready()
    finally:
        running.end()


@pytest.fixture(scope="session")
def guarded(fabric: RunningFabric) -> Iterator[RunningFabric]:
    """A second gateway on the same stores, that asks for a token."""
    running = RunningFabric(
        fabric.data, "gateway", "--http-only", DAEF_API_TOKENS=f"{TOKEN}:tenant:*|operator|metrics"
    )
    try:
        yield running.wait_ready()
    finally:
        running.end()
