"""API servers, a fabric and operators, for the tests that ask for them."""

import os
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.fabrics import RunningFabric, wait_until
from tests.kube.api_server import ApiServer
from tests.kube.operators import Api, RunningOperator, echo_tasks
from tests.kube.real_api_server import ASSETS, Cluster, running


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with etcd and kube-apiserver; without one the test is skipped."""
    folder = os.environ.get(ASSETS)
    if not folder:
        pytest.skip(f"{ASSETS} names no folder with etcd and kube-apiserver")
    return Path(folder)


@pytest.fixture(scope="session")
def cluster(assets) -> Iterator[Cluster]:
    """A kube-apiserver of this run's own, with our definitions."""
    with running(assets) as started:
        applied = started.kubectl("apply", "--server-side", "-f", "config/crd/bases")
        assert applied.returncode == 0, applied.stderr
        yield started


@pytest.fixture(scope="session")
def folder(make_folder) -> Path:
    return make_folder()


@pytest.fixture(scope="session")
def fabric(folder, api) -> Iterator[RunningFabric]:
    """One for each API: resources of the same names on both would be two jobs of one name."""
    place = folder / f"fabric-{api.url.rpartition(':')[2]}"
    started = RunningFabric(place, "up", "--agents", "1", "--slots", "8")
    try:
        yield started.wait_ready()
    finally:
        started.end()


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with ApiServer() as started:
        yield started


@pytest.fixture(scope="session", params=["small", *(["real"] if os.environ.get(ASSETS) else [])])
def api(request, folder, server) -> Api:
    """A Kubernetes API with a ConfigMap of tasks."""
    if request.param == "small":
        api = Api(server.url, server.kubeconfig(folder / "kubeconfig"))
    else:
        cluster = request.getfixturevalue("cluster")
        trusted = ssl.create_default_context(cafile=str(cluster.authority))
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted))
        # The operator has no rights but those that the manifests give its account.
        operators = cluster.operators_kubeconfig(folder / "operators-kubeconfig", "default")
        api = Api(cluster.url, operators, opener, cluster.token, "daef-system")
    api.make(echo_tasks("tasks", 3))
    api.make(echo_tasks("one-task"))
    api.make(echo_tasks("long", 8, sleep_ms=20_000))
    return api


@pytest.fixture(scope="session")
def operator(api, fabric, folder) -> Iterator[RunningOperator]:
    """One that leads, for the tests that do not end it."""
    started = RunningOperator(api, f"http://{fabric.http}", folder)
    try:
        wait_until(started.leads)
        yield started
    finally:
        assert started.end() == 0, started.said()


@pytest.fixture
def faults(request, server, operator) -> Iterator[Any]:
    if "real" in request.node.name:
        pytest.skip("these faults are the small API server's")
    yield server.faults
    server.faults.__init__()


@pytest.fixture
def own(request, folder, fabric) -> Iterator[Any]:
    """An API server and operators of the test's own."""
    operators: list[RunningOperator] = []
    with ApiServer() as server:
        api = Api(server.url, server.kubeconfig(folder / f"kubeconfig-{server.url[-5:]}"))
        api.make(echo_tasks("one-task"))

        def start(**variables: str) -> RunningOperator:
            variables.setdefault("DAEF_URL", f"http://{fabric.http}")
            operators.append(RunningOperator(api, variables["DAEF_URL"], folder, **variables))
            return operators[-1]

        yield server, api, start
        for each in operators:
            each.kill()
