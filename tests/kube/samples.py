"""Samples of the five kinds: good ones in `config/samples/`, others in `tests/kube/invalid/`.

An invalid sample begins with the comments `# field:`, the field that a refusal has to name, and,
where the message is ours, `# message:`. In `changes/` a file has the object before and after.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kube.resources import API_VERSION, Kind

ROOT = Path(__file__).resolve().parents[2]
INVALID_FOLDER = Path(__file__).parent / "invalid"
Document = dict[str, Any]


@dataclass(frozen=True)
class Invalid:
    """An object that has to be refused."""

    name: str
    document: Document
    field: str
    message: str


@dataclass(frozen=True)
class Change:
    """An object and what it must not become."""

    name: str
    before: Document
    after: Document
    field: str
    message: str


def documents_of(path: Path) -> list[Document]:
    """Every object of a file."""
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def remark(path: Path, name: str) -> str:
    """What one of the comments at the top of the file says; empty where it is not there."""
    found = re.search(rf"^# {name}: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _invalid(path: Path) -> Invalid:
    (document,) = documents_of(path)
    return Invalid(path.stem, document, remark(path, "field"), remark(path, "message"))


def _change(path: Path) -> Change:
    before, after = documents_of(path)
    return Change(path.stem, before, after, remark(path, "field"), remark(path, "message"))


def names_of_fields(kind: type[msgspec.Struct]) -> list[str]:
    """The fields of a type, as they are written."""
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def wrong(kind: Kind, spec: Any) -> Document:
    """An object of this kind with this spec, named "wrong"."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": {"name": "wrong"},
        "spec": spec,
    }


USUAL: dict[str, Any] = {
    "AIJob": {"type": "Chat", "input": "Good morning?"},
    "AIWorkerPool": {},
    "ModelEndpoint": {
        "backend": "OpenAI",
        "models": ["small"],
        "url": "https://models.example.com/v1",
    },
    "ExecutionPolicy": {},
    "TenantQuota": {},
}
"""The smallest good spec of each kind."""

SAMPLES = [
    path
    for path in sorted((ROOT / "config" / "samples").glob("*.yaml"))
    if path.name != "kustomization.yaml"
]
INVALID = [_invalid(path) for path in sorted(INVALID_FOLDER.glob("*.yaml"))]
CHANGES = [_change(path) for path in sorted((INVALID_FOLDER / "changes").glob("*.yaml"))]
