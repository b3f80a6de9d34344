"""Keep the figures: add up what transactions and processes counted, sample the load."""

from collections.abc import Mapping, Sequence

from jobs.actions.transactions import in_transaction
from jobs.metrics import Series, add_up
from jobs.planner.draft import KINDS, TEST_KINDS
from jobs.transitions import figures
from jobs.transitions.figures import LoadRow

TALLIES_PER_PASS = 20_000
"""Bounds a pass; a second of a busy fabric leaves some hundreds."""

MINUTES_KEPT_DAYS = 8
"""A week for comparison, and the day that is compared."""


@in_transaction
def add_tallies() -> int:
    """Add what transactions left to the sums and minutes; returns how many tallies.

    Taking and adding are one transaction: a tally is added once, whoever is killed meanwhile and
    however many processes try.
    """
    if not figures.my_turn():
        return 0
    tallies = figures.take_tallies(most=TALLIES_PER_PASS)
    sums = add_up(tallies, KINDS | TEST_KINDS)
    figures.add_sums(sums.series)
    figures.add_minutes(sums.minutes)
    return len(tallies)


@in_transaction
def recount_tasks() -> int:
    """Bring the sums of tasks to what the stages count; returns where they were off.

    They are off where a process wrote that does not tally: one of a version from before there
    were tallies. Work that goes on meanwhile makes no difference.
    """
    return figures.recount_tasks() if figures.my_turn() else 0


@in_transaction
def add_counts(counts: Mapping[Series, float]) -> None:
    """Add what a process counted."""
    figures.add_sums(counts)


@in_transaction
def note_load(rows: Sequence[LoadRow]) -> None:
    """Keep what waits and runs now for the minute's line."""
    figures.note_load(rows)


@in_transaction
def forget_minutes() -> int:
    """Delete minutes that no page compares with any more."""
    return figures.forget_minutes(days=MINUTES_KEPT_DAYS)
