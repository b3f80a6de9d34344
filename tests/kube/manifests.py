"""The manifests as `kubectl kustomize` makes them, and as a pod would see them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
MAKE_SECRETS = CONFIG / "make-secrets.sh"
Document = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
POD_ADDRESS = "127.0.0.1"
NAMESPACE = "daef-system"


def kubectl() -> str:
    """The command, of the requirements for tests or of the machine."""
    found = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, "kubectl is missing: make setup-dev installs it"
    return found


@cache
def built(name: str) -> list[Document]:
    """The documents of `kubectl kustomize config/<name>`."""
    return built_in(CONFIG / name)


def built_in(folder: Path) -> list[Document]:
    """The documents of `kubectl kustomize <folder>`. Fails with what kubectl says."""
    answer = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=30
    )
    assert answer.returncode == 0, answer.stderr
    return [each for each in yaml.safe_load_all(answer.stdout) if each]


@cache
def development() -> list[Document]:
    """The overlay for trying things on, with secrets made in a copy of `config/`."""
    with tempfile.TemporaryDirectory(prefix="daef-config-") as parent:
        copy = Path(parent) / "config"
        shutil.copytree(CONFIG, copy, ignore=shutil.ignore_patterns("secrets"))
        overlay = copy / "overlays" / "development"
        make_secrets(overlay / "secrets")
        return built_in(overlay)


def make_secrets(folder: Path, **variables: str) -> Path:
    """Let the script of the install guide write into ``folder``."""
    subprocess.run(
        ["sh", str(MAKE_SECRETS), str(folder)],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        timeout=30,
    )
    return folder


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """The documents of these kinds."""
    return [each for each in documents if each["kind"] in kinds]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one document of this kind and name."""
    [found] = [each for each in of_kind(documents, kind) if name_of(each) == name]
    return found


def name_of(document: Document) -> str:
    """Its name."""
    return str(document["metadata"]["name"])


def plain(name: str) -> str:
    """A generated name without its hash."""
    return re.sub(r"-[0-9a-z]{10}$", "", name)


@dataclass(frozen=True)
class Pod:
    """The pods of one workload, by its template."""

    workload: Document

    @property
    def name(self) -> str:
        """The workload's name."""
        return name_of(self.workload)

    @property
    def spec(self) -> Document:
        """The pod's spec."""
        spec: Document = self.workload["spec"]["template"]["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """The pod's labels."""
        labels: dict[str, str] = self.workload["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[Document]:
        """Every container, initial ones first."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """The containers' ports by name."""
        return {
            port["name"]: port["containerPort"]
            for each in self.containers
            for port in each.get("ports", [])
        }

    def is_ours(self) -> bool:
        """Whether it runs the product's own image."""
        return self.labels["app.kubernetes.io/name"] == "daef"


def pods(documents: list[Document]) -> list[Pod]:
    """The pods that these documents lead to."""
    return [Pod(each) for each in of_kind(documents, *WORKLOADS)]


def selected(selector: Document | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    for name, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    for each in (selector or {}).get("matchExpressions") or []:
        assert each["operator"] == "In", "only In is understood here"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return True


def variables(container: Document, documents: list[Document]) -> dict[str, str]:
    """The container's environment as the kubelet makes it."""
    made: dict[str, str] = {}
    for source in container.get("envFrom", []):
        made |= named(documents, "ConfigMap", source["configMapRef"]["name"])["data"]
    for entry in container.get("env", []):
        made[entry["name"]] = _value(entry, container, documents, made)
    return made


def _value(
    entry: Document, container: Document, documents: list[Document], made: Mapping[str, str]
) -> str:
    if "value" in entry:
        return re.sub(r"\$\((\w+)\)", lambda found: made[found[1]], entry["value"])
    [(kind, source)] = entry["valueFrom"].items()
    if kind == "configMapKeyRef":
        return str(named(documents, "ConfigMap", source["name"])["data"][source["key"]])
    if kind == "fieldRef":
        return {"status.podIP": POD_ADDRESS, "metadata.namespace": NAMESPACE}.get(
            source["fieldPath"], "a-pod"
        )
    assert kind == "resourceFieldRef", kind
    part, _, resource = source["resource"].partition(".")
    return str(container["resources"][part][resource])


def mounts(pod: Pod, container: Document) -> Iterator[tuple[str, Document]]:
    """Each path with the volume that is mounted there."""
    volumes = {each["name"]: each for each in pod.spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        yield mount["mountPath"], volumes[mount["name"]]
