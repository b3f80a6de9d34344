"""A copy of the source tree in which one mutant at a time is let loose."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import ROOT, Mutant
from tests.mutants.nursery import Nursery, Run
from tests.servers import Stores

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


class Field:
    """The copy, and the process that runs tests in it. Made and taken down by ``field``."""

    def __init__(self, tree: Path, nursery: Nursery) -> None:
        self.tree = tree
        self._nursery = nursery
        self._schema_changed = True

    def run_tests(self, tests: Sequence[str], *, schema_changes: bool = False) -> Run:
        """Run these tests; the database is made anew where its schema is another one."""
        again = "--create-db" if self._schema_changed or schema_changes else "--reuse-db"
        self._schema_changed = schema_changes
        options = ["--tb=line", "--timeout=40", "--reuse-db", again]
        return self._nursery.run([*options, *tests], seconds=TRIAL_SECONDS + 20 * len(tests))

    def try_mutant(self, mutant: Mutant) -> Outcome:
        """Run each of the mutant's tests with the mutant in the tree; all have to fail."""
        schema_changes = any("/migrations/" in path for path, _ in mutant.hunks())
        with self._applied(mutant):
            runs = [self.run_tests([test], schema_changes=schema_changes) for test in mutant.red]
        found = all(run.status == TESTS_FAILED for run in runs)
        return Outcome(mutant, found, "\n".join(run.output for run in runs))

    @contextmanager
    def _applied(self, mutant: Mutant) -> Iterator[None]:
        before = {path: (self.tree / path).read_text() for path, _ in mutant.hunks()}
        for path, text in mutated(mutant, self.tree).items():
            (self.tree / path).write_text(text)
        try:
            yield
        finally:
            for path, text in before.items():
                (self.tree / path).write_text(text)


def copy_tree(target: Path) -> Path:
    """Copy what the tests need to ``target``."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
    return target


@contextmanager
def field(folder: Path, servers: Stores) -> Iterator[Field]:
    """Copy what the tests need to a folder; the checkout itself is never patched.

    The tests use these servers, for which nothing else may run tests meanwhile: a database of
    its own on PostgreSQL, and Redis' database 1.
    """
    tree = copy_tree(folder / "tree")
    environment = _environment(
        DAEF_TEST_POSTGRES_DSN=servers.postgres_dsn.rpartition("/")[0] + "/mutants",
        DAEF_TEST_REDIS_URL=servers.redis_url.rpartition("/")[0] + "/1",
        DAEF_TEST_REDIS_AGENT_URL=servers.agent_redis_url.rpartition("/")[0] + "/1",
    )
    with Nursery(tree, environment) as nursery:
        yield Field(tree, nursery)


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


def _environment(**more: str) -> Mapping[str, str]:
    """Ours without what makes a child of this run part of it."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {**ours, **more}
