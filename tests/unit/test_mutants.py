"""Every mutant fits the source and names tests that are there; three are let loose each time."""

import re
from pathlib import Path

import pytest

from tests.mutants.catalogue import ROOT, Mutant, all_mutants, chosen
from tests.mutants.trial import copy_tree, mutated, run_tests, try_mutant

MUTANTS = all_mutants()
SAMPLE = ["ticket-of-any-function", "body-nested-without-end", "lease-outlived-by-its-agent"]


@pytest.fixture(scope="module")
def tree(make_folder) -> Path:
    return copy_tree(make_folder() / "tree")


def test_there_are_at_least_thirty_mutants():
    assert len(MUTANTS) >= 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source_and_names_tests_that_are_there(mutant: Mutant):
    assert mutated(mutant, ROOT)
    for test in mutant.red:
        path, *_, name = test.split("::")
        function = re.escape(re.sub(r"\[.*", "", name))
        assert re.search(rf"def {function}\(", (ROOT / path).read_text()), test


@pytest.mark.parametrize("name", SAMPLE)
def test_a_mutant_is_found(tree: Path, name: str):
    (mutant,) = chosen([name])
    assert run_tests(tree, mutant.red).returncode == 0
    outcome = try_mutant(mutant, tree)
    assert outcome.found, outcome.output


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_every_mutant_is_found(tree: Path):
    assert run_tests(tree, sorted({t for m in MUTANTS for t in m.red})).returncode == 0
    missed = [o.mutant.name for mutant in MUTANTS if not (o := try_mutant(mutant, tree)).found]
    assert missed == []
