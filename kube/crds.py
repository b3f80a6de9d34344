"""``python -m kube.crds``: writes the CustomResourceDefinitions and their page from the types.

``--check`` writes nothing and fails where a file is not what the types say.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from kube.crd_page import page
from kube.resources import GROUP, KINDS, VERSION, Kind
from kube.resources.kinds import Column
from kube.schema import Schema, object_schema, with_rules

ROOT = Path(__file__).resolve().parents[1]
BASES = Path("config/crd/bases")
PAGE = Path("docs/reference/crds.md")
MOST_CHARACTERS_OF_A_NAME = 253
"""Of any object of Kubernetes."""

HEADING = "# Made by `python -m kube.crds` from kube/resources. Do not edit.\n"


class Plain(yaml.SafeDumper):
    """Writes every object in full: CustomResourceDefinitions do without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors."""
        return True


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": {"app.kubernetes.io/name": "daef"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": list(kind.categories),
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": kind_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.scale:
        version["subresources"]["scale"] = {
            "specReplicasPath": kind.scale.replicas,
            "statusReplicasPath": kind.scale.status_replicas,
            "labelSelectorPath": kind.scale.selector,
        }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return version


def kind_schema(kind: Kind) -> Schema:
    """The structural schema of a whole object of this kind."""
    spec = object_schema(kind.spec)
    schema: Schema = {
        "type": "object",
        "description": kind.description,
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this schema."},
            "kind": {"type": "string", "description": "The kind of the object."},
            "metadata": _metadata(kind),
            "spec": spec if kind.spec_required else {**spec, "default": {}},
            "status": object_schema(kind.status, defaults=False),
        },
    }
    if kind.spec_required:
        schema["required"] = ["spec"]
    return with_rules(schema, kind.rules)


def _metadata(kind: Kind) -> Schema:
    """Of its fields only the name may be spoken of, which rules on it have to."""
    if not kind.rules:
        return {"type": "object"}
    name = {
        "type": "string",
        "maxLength": MOST_CHARACTERS_OF_A_NAME,
        "description": "The name, in the fabric too.",
    }
    return {"type": "object", "properties": {"name": name}}


def _column(column: Column) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return {**written, "priority": 1} if column.wide else written


def files() -> dict[Path, str]:
    """Every file that is made from the types, by its path in the repository."""
    made = {BASES / f"{GROUP}_{kind.plural}.yaml": crd_text(kind) for kind in KINDS}
    return {**made, PAGE: page()}


def crd_text(kind: Kind) -> str:
    """The CustomResourceDefinition as YAML; the same types make the same text."""
    return HEADING + yaml.dump(
        definition(kind), Dumper=Plain, sort_keys=False, allow_unicode=True, width=100
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kube.crds", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on differences")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in files().items() if not _is(ROOT / path, text)}
    for path, text in stale.items():
        if check:
            print(f"{path} is stale; run python -m kube.crds", file=sys.stderr)
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, "utf-8")
            print(f"wrote {path}")
    return 1 if check and stale else 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
