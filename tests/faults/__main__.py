"""``python -m tests.faults --seed N``: one run, its seed and its verdict."""

import argparse
import random
import sys
from dataclasses import replace

from tests.faults.run import LONG, SHORT, Plan, folder, run

PLANS = {plan.name: plan for plan in (SHORT, LONG)}


def main() -> int:
    """Run once; exit status 1 when something is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--plan", choices=list(PLANS), default=SHORT.name)
    parser.add_argument("--seconds", type=float, help="how long faults fall at least")
    parser.add_argument("--latest", type=float, help="how long they fall at most")
    parser.add_argument("--tasks", type=int, help="at least so many tasks")
    parser.add_argument("--slots", type=int)
    parser.add_argument("--between", type=float, help="seconds between two faults, on average")
    parser.add_argument("--keep", action="store_true", help="leave the data folder there")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with folder(asked.keep) as data:
        print(f"data {data}", flush=True)
        verdict = run(_plan(asked), data)
    print(verdict)
    return 1 if verdict.problems else 0


def _plan(asked: argparse.Namespace) -> Plan:
    changes = {
        "seconds": asked.seconds,
        "latest": asked.latest,
        "tasks": asked.tasks,
        "slots": asked.slots,
        "between_seconds": asked.between,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(PLANS[asked.plan].with_seed(asked.seed), **given)


if __name__ == "__main__":
    sys.exit(main())
