"""``python -m tests.faults --seed N --seconds S``: one run, its seed and its verdict."""

import argparse
import random
import sys
from dataclasses import replace

from tests.faults.run import Plan, folder, run


def main() -> int:
    """Run once; exit status 1 when something is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="how long faults fall")
    parser.add_argument("--tasks", type=int, default=Plan.tasks, help="at least so many tasks")
    parser.add_argument("--slots", type=int, default=Plan.slots)
    parser.add_argument("--between", type=float, default=Plan.between_seconds)
    parser.add_argument("--keep", action="store_true", help="leave the data folder there")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    plan = replace(
        Plan(asked.seed),
        seconds=asked.seconds,
        tasks=asked.tasks,
        slots=asked.slots,
        between_seconds=asked.between,
    )
    with folder(asked.keep) as data:
        print(f"data {data}", flush=True)
        verdict = run(plan, data)
    print(verdict)
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
