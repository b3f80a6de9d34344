"""Every mutant fits the source and names tests that are there; some are let loose each time.

A new handful each day, the same for everybody that day, mostly of those whose tests are quick.
``make soak`` and ``python -m tests.mutants`` try them all.
"""

import datetime
import random
import re
from collections.abc import Iterator

import pytest

from tests.mutants.catalogue import ROOT, Mutant, all_mutants
from tests.mutants.trial import Field, field, mutated

MUTANTS = all_mutants()
QUICK = [mutant for mutant in MUTANTS if all(test.startswith("tests/unit/") for test in mutant.red)]
SLOW = [mutant for mutant in MUTANTS if mutant not in QUICK]
TODAY = datetime.datetime.now(datetime.UTC).date().toordinal()
TURNS = random.Random(TODAY)
SAMPLE = [*TURNS.sample(QUICK, 8), *TURNS.sample(SLOW, 3)]


@pytest.fixture(scope="module")
def trials(make_folder, test_stores) -> Iterator[Field]:
    with field(make_folder(), test_stores) as made:
        yield made


def test_there_are_at_least_thirty_mutants():
    assert len(MUTANTS) >= 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source_and_names_tests_that_are_there(mutant: Mutant):
    assert mutated(mutant, ROOT)
    for test in mutant.red:
        path, *_, name = test.split("::")
        function = re.escape(re.sub(r"\[.*", "", name))
        assert re.search(rf"def {function}\(", (ROOT / path).read_text()), test


@pytest.mark.timeout(400)
def test_without_a_mutant_their_tests_pass(trials: Field):
    whole = trials.run_tests(sorted({test for mutant in SAMPLE for test in mutant.red}))
    assert whole.status == 0, whole.output


@pytest.mark.parametrize("mutant", SAMPLE, ids=lambda mutant: mutant.name)
def test_a_mutant_is_found(trials: Field, mutant: Mutant):
    outcome = trials.try_mutant(mutant)
    assert outcome.found, outcome.output


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_every_mutant_is_found(trials: Field):
    assert trials.run_tests(sorted({t for m in MUTANTS for t in m.red})).status == 0
    missed = [m.name for m in MUTANTS if not trials.try_mutant(m).found]
    assert missed == []
