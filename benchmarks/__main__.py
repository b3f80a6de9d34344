"""``python -m benchmarks``: DAEF and its peers side by side, in interleaved rounds.

Sets up what it needs, prints figures and goals, and with ``--write`` writes
``docs/reference/performance.md`` with its plot and its figures as JSON. The exit status is 0 when
every goal that was measured holds in four rounds of five.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks import daef, document, machine, peers, stores
from benchmarks.goals import verdicts
from benchmarks.rounds import MEASURES, NOOP, Plan, calibration, measured

NAMES = (daef.NAME, *(peer.name for peer in peers.PEERS))


def main() -> int:
    """Measure, print, and write when asked to."""
    options = _options()
    machine.end_in_order()
    chosen = [peer for peer in peers.PEERS if peer.name in options.only]
    if chosen or options.write:
        peers.install()
    plan = Plan(options.measure, options.tasks, options.slots)
    run: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.description(),
        "load_before": machine.load(),
        "versions": machine.versions() | (peers.versions(chosen) if chosen else {}),
        "tasks": plan.tasks,
        "slots": plan.slots,
        "rounds": [],
    }
    print(" · ".join((*run["machine"], *(f"{n} {v}" for n, v in run["versions"].items()))))
    began = time.monotonic()
    with stores.started() as servers:
        for turn in range(options.rounds):
            print(f"round {turn + 1} of {options.rounds} (fixed loop: {calibration():.0f} ms)")
            run["rounds"].append(measured(plan, chosen, daef.NAME in options.only, servers, turn))
            document.keep(run)
    print(f"measured in {(time.monotonic() - began) / 60:.1f} minutes")
    found = verdicts(run["rounds"])
    print("\n".join(map(str, found)))
    print(f"figures       {document.LAST.relative_to(document.CHECKOUT)}")
    if options.write:
        document.write(run)
    whole = all(set(options.only) == set(figures) for figures in run["rounds"])
    return 0 if whole and all(verdict.met for verdict in found) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--tasks",
        type=int,
        default=100_000,
        help="no-op tasks of DAEF and PgQueuer in a round (100,000); with fewer the others have "
        "fewer in proportion",
    )
    parser.add_argument("--slots", type=int, default=8, help="slots of each DAEF agent (8)")
    parser.add_argument(
        "--only", type=_list(NAMES), help=f"comma-separated, of {', '.join(NAMES)} (all)"
    )
    parser.add_argument(
        "--measure",
        type=_list(MEASURES),
        help=f"comma-separated, of {', '.join(MEASURES)} (all; with --only, {NOOP})",
    )
    parser.add_argument("--write", action="store_true", help="write docs/reference/performance.md")
    options = parser.parse_args()
    if options.measure is None:
        options.measure = (NOOP,) if options.only else MEASURES
    options.only = options.only or NAMES
    return options


def _list(allowed: tuple[str, ...]) -> Any:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: allowed are {', '.join(allowed)}"
            )
        return names

    return read


if __name__ == "__main__":
    raise SystemExit(main())
