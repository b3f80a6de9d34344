"""A real API server for the tests that ask for one, where the machine has it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.real_api_server import ASSETS, Cluster, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A kube-apiserver of this run's own, with our definitions."""
    folder = os.environ.get(ASSETS)
    if not folder:
        pytest.skip(f"{ASSETS} names no folder with etcd and kube-apiserver")
    with running(Path(folder)) as started:
        applied = started.kubectl("apply", "--server-side", "-f", "config/crd/bases")
        assert applied.returncode == 0, applied.stderr
        yield started
