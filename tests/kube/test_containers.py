"""What the manifests call starts with exactly the environment that they give it."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kube.manifests import (
    ROOT,
    Document,
    Pod,
    development,
    mounts,
    named,
    pods,
    variables,
)

GROUP_MAY_READ = 0o440
OPEN_TO_ALL = 0o777


class Container:
    """A container of the overlay for trying things on, as a process of this machine.

    What would be mounted lies below ``folder`` instead of ``/``, with the modes and links that the
    kubelet gives it. It listens on loopback, at ports of its own; all else is the manifest's.
    """

    def __init__(self, folder: Path, pod: Pod, container: Document, documents: list[Document]):
        self.folder = folder
        self.given = variables(container, documents)
        stated = dict(self.given)
        for path, volume in mounts(pod, container):
            place = self._mount(path, volume, documents)
            for name, value in stated.items():
                if value.startswith(f"{path}/"):
                    self.given[name] = value.replace(path, str(place), 1)

    def _mount(self, path: str, volume: Document, documents: list[Document]) -> Path:
        place = self.folder / path.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            place.chmod(OPEN_TO_ALL)
        else:
            self._fill(place, files(volume, documents))
        return place

    def _fill(self, place: Path, content: dict[str, str]) -> None:
        version = place / "..2026_01_01"
        version.mkdir()
        (place / "..data").symlink_to(version.name)
        for name, text in content.items():
            (version / name).write_text(text)
            (version / name).chmod(GROUP_MAY_READ)
            (place / name).symlink_to(f"..data/{name}")

    def environment(self, **changed: str | None) -> dict[str, str]:
        """The variables, with some changed, or taken away by None."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DAEF_", "DJANGO"))}
        made = inherited | self.given | changed
        return {name: value for name, value in made.items() if value is not None}

    def ask(self, **changed: str | None) -> subprocess.Popen[str]:
        """Start ``manage.py check --deploy`` in its environment."""
        check = ["manage.py", "check", "--deploy", "--fail-level", "ERROR"]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore::RuntimeWarning", *check],
            cwd=ROOT,
            env=self.environment(**changed),
            stderr=subprocess.PIPE,
            text=True,
        )


def files(volume: Document, documents: list[Document]) -> dict[str, str]:
    """The files of a secret or config map."""
    if "configMap" in volume:
        data: dict[str, str] = named(documents, "ConfigMap", volume["configMap"]["name"])["data"]
        return data
    data = named(documents, "Secret", volume["secret"]["secretName"])["data"]
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return development()


@pytest.fixture
def container(
    documents: list[Document], make_folder: Callable[[], Path]
) -> Callable[..., Container]:
    def made(name: str) -> Container:
        for pod in pods(documents):
            for each in pod.containers:
                if each["name"] == name:
                    return Container(make_folder(), pod, each, documents)
        raise LookupError(name)

    return made


def test_the_start_up_checks_have_nothing_against_the_manifests_and_would_find_what_is_unsafe(
    container,
):
    control_plane = container("control-plane")
    data = Path(control_plane.given["DAEF_DATA_DIR"]).parent
    sound = [control_plane.ask(), container("gateway").ask()]
    # The volume itself, which every user of the pod may write into, and gRPC without TLS.
    spoilt = control_plane.ask(
        DAEF_DATA_DIR=str(data), DAEF_TLS_CERT_FILE=None, DAEF_TLS_KEY_FILE=None
    )
    for each in sound:
        assert errors(each) == (0, set())
    assert errors(spoilt) == (1, {"daef.E006", "daef.E013"})


def errors(asked: subprocess.Popen[str]) -> tuple[int, set[str]]:
    """The exit status, and the checks that failed."""
    said = asked.communicate(timeout=60)[1]
    return asked.returncode, set(re.findall(r"daef\.E\d+", said))


@pytest.mark.soak
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root, for roots and networks"
)
def test_the_overlay_runs_a_job_with_read_only_roots_and_no_rights():
    ran = subprocess.run(
        ["unshare", "--mount", "--net", sys.executable, "-m", "tests.kube.pod_sandbox"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "daef_site.settings"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "migrate": 0,
        "control plane is ready": True,
        "gateway is ready": True,
        "agent is ready": True,
        "gateway by another name": 400,
        "metrics": 200,
        "job": "Succeeded",
        "users": ["10001, capabilities none"],
        "control-plane ended": 0,
        "gateway ended": 0,
        "agent ended": 0,
    }, ran.stderr
