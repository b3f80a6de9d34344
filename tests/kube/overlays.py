"""The overlays as fixtures, for the tests of the manifests."""

import pytest

from tests.kube.manifests import Document, Pod, built, development, pods

OVERLAYS = ("default", "development", "production")


@pytest.fixture(scope="module")
def made() -> dict[str, list[Document]]:
    """The documents of each overlay."""
    return {
        "default": built("default"),
        "development": development(),
        "production": built("overlays/production"),
    }


@pytest.fixture(params=OVERLAYS)
def documents(request: pytest.FixtureRequest, made: dict[str, list[Document]]) -> list[Document]:
    """The documents of one overlay after the other."""
    return made[request.param]


def ours(documents: list[Document]) -> list[Pod]:
    """The pods that run the product; there is at least one of each kind."""
    found = [pod for pod in pods(documents) if pod.is_ours()]
    assert {pod.labels["app.kubernetes.io/component"] for pod in found} == {
        "gateway",
        "control-plane",
        "operator",
        "agent",
    }
    return found
