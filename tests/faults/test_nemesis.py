"""A fabric under random faults: nothing is lost, nothing is done twice, no lost lease writes.

``make test`` runs the short one; ``make soak`` the long one too. The seed is printed; a run is
repeated with ``python -m tests.faults --seed N``.
"""

import os
import random

import pytest

from faultpoints import POINTS
from tests.faults.mischief import KINDS
from tests.faults.run import LONG, SHORT, Plan, folder, run
from tests.faults.verdict import Verdict

LEAST_FAULTS = {SHORT.name: 60, LONG.name: 200}
MOST_SECONDS = 90.0
"""For the short run on two cores of its own, from the first process to the last."""

PLANS = [
    pytest.param(SHORT, id="short", marks=pytest.mark.timeout(400)),
    pytest.param(
        LONG,
        id="long",
        marks=[
            pytest.mark.timeout(0),
            pytest.mark.skipif(not os.environ.get("DAEF_SOAK"), reason="part of make soak"),
        ],
    ),
]


@pytest.fixture(scope="module", params=PLANS)
def stormed(request: pytest.FixtureRequest) -> tuple[Plan, Verdict]:
    """A plan that was carried out, and what the checker says."""
    seed = int(os.environ.get("DAEF_FAULTS_SEED") or random.randrange(2**31))
    plan = request.param.with_seed(seed)
    print(f"\nseed {seed}", flush=True)
    with folder(keep=False) as data:
        verdict = run(plan, data)
    print(verdict, flush=True)
    return plan, verdict


def test_nothing_is_lost_or_done_twice_and_no_rule_is_broken(stormed: tuple[Plan, Verdict]):
    plan, verdict = stormed
    assert verdict.problems == [], f"seed {plan.seed}\n{verdict}"


def test_enough_faults_hit_running_work(stormed: tuple[Plan, Verdict]):
    plan, verdict = stormed
    assert verdict.faults.total() >= LEAST_FAULTS[plan.name], f"seed {plan.seed}\n{verdict}"
    assert verdict.figures["tasks"] >= plan.tasks


@pytest.mark.parametrize("point", sorted(POINTS))
def test_every_fault_point_fired(stormed: tuple[Plan, Verdict], point: str):
    plan, verdict = stormed
    assert verdict.fired(point), f"seed {plan.seed}\n{verdict}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_fired(stormed: tuple[Plan, Verdict], kind: str):
    plan, verdict = stormed
    if kind in verdict.missing:
        pytest.skip(f"not on this machine: {verdict.missing[kind]}")
    assert verdict.fired(kind), f"seed {plan.seed}\n{verdict}"


def test_the_short_run_is_short(stormed: tuple[Plan, Verdict]):
    plan, verdict = stormed
    if plan.name == SHORT.name:
        assert verdict.figures["seconds"] <= MOST_SECONDS, f"seed {plan.seed}\n{verdict}"
