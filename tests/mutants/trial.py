"""A copy of the source tree in which one mutant at a time is let loose."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import ROOT, Mutant

LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.pyc", "benchmarks", "docs", "node_modules"
)
TESTS_FAILED = 1
"""pytest's exit status when tests ran and some failed; any other one is a mistake of ours."""

TRIAL_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """Whether the tests noticed, and what they printed."""

    mutant: Mutant
    found: bool
    output: str


class PatchRefused(Exception):
    """A patch does not fit the source any more."""


def copy_tree(target: Path) -> Path:
    """Copy what the tests need to ``target``; the checkout itself is never patched."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
    return target


@contextmanager
def applied(mutant: Mutant, tree: Path) -> Iterator[None]:
    """The tree with the mutant in it; whole again afterwards. Raises PatchRefused."""
    before = {path: (tree / path).read_text() for path, _ in mutant.hunks()}
    for path, text in mutated(mutant, tree).items():
        (tree / path).write_text(text)
    try:
        yield
    finally:
        for path, text in before.items():
            (tree / path).write_text(text)


def mutated(mutant: Mutant, tree: Path) -> dict[str, str]:
    """The files of the tree that the mutant changes, as it has them.

    A hunk is found by its text, wherever it moved to. Raises PatchRefused when it is not there
    exactly once.
    """
    texts: dict[str, str] = {}
    for path, hunk in mutant.hunks():
        text = texts.get(path) or (tree / path).read_text()
        if text.count(hunk.old) != 1:
            found = text.count(hunk.old)
            raise PatchRefused(f"{mutant.name}: found {found} times in {path}:\n{hunk.old}")
        texts[path] = text.replace(hunk.old, hunk.new)
    return texts


def try_mutant(mutant: Mutant, tree: Path) -> Outcome:
    """Run each of the mutant's tests with the mutant in the tree; all have to fail."""
    with applied(mutant, tree):
        runs = [run_tests(tree, [test]) for test in mutant.red]
    found = all(run.returncode == TESTS_FAILED for run in runs)
    return Outcome(mutant, found, "\n".join(run.stdout for run in runs))


def run_tests(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run these tests in the tree."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", "pytest", "--tb=line", "--timeout=40", *tests]
    return subprocess.run(
        command,
        cwd=tree,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TRIAL_SECONDS + 20 * len(tests),
        check=False,
    )
