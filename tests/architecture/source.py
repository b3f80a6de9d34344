"""The repository as these tests read it: our own Python files, parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = (
    "daef_site",
    "jobs",
    "queueing",
    "access",
    "audit",
    "workeragent",
    "faultpoints",
    "probes",
    "client",
    "kube",
)
"""Packages that are the product; `proto` holds generated code only."""

NOT_OURS = {".git", ".venv", ".venv-bench", ".daef", "node_modules", "build", "dist", "__pycache__"}


@cache
def parsed(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def product_files() -> list[Path]:
    """Every Python file of the product, migrations apart."""
    files = [ROOT / "manage.py"]
    for package in PRODUCT:
        files += sorted((ROOT / package).rglob("*.py"))
    return [path for path in files if is_ours(path) and "migrations" not in path.parts]


def is_ours(path: Path) -> bool:
    """Whether the path is neither installed nor made by running something."""
    parts = path.relative_to(ROOT).parts
    return not NOT_OURS & set(parts) and not any(part.endswith("_cache") for part in parts)


def texts(path: Path) -> Iterator[str]:
    """Every string constant of the file."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def shown(path: Path, line: int = 0) -> str:
    """`file:line` as people look it up."""
    name = str(path.relative_to(ROOT))
    return f"{name}:{line}" if line else name
