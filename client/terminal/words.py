"""How figures and names read on a terminal: durations, money, counts, statuses. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

STATUS_WORDS = {"PartiallySucceeded": "Partly succeeded"}
"""Statuses that read better than they are spelled."""

STATUS_STYLES = {
    "Pending": "bright_black",
    "Running": "blue",
    "Suspended": "magenta",
    "Succeeded": "green",
    "PartiallySucceeded": "yellow",
    "Failed": "red",
    "Cancelled": "bright_black",
}

EXIT_STATUSES = {"Succeeded": 0, "PartiallySucceeded": 3, "Failed": 4, "Cancelled": 5}
"""What a command that waited for a job ends with."""

# C0, DEL and C1: what a terminal might obey when it should only show.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_NANO = 10**9


def plain(text: object) -> str:
    """Text of documents and models on one line, without anything a terminal would obey."""
    return " ".join(_CONTROLS.sub(" ", str(text)).split())


def shortened(text: object, width: int) -> str:
    """``plain`` text of at most ``width`` characters, cut between words with an ellipsis."""
    line = plain(text)
    if len(line) <= width:
        return line
    head, _, _ = line[:width].rpartition(" ")
    return (head if len(head) > width // 2 else line[: width - 1]).rstrip(" ,;:–-") + "…"


def status_word(status: str) -> str:
    """A status as people read it."""
    return STATUS_WORDS.get(status, status)


def duration(seconds: float) -> str:
    """In its two largest units; one decimal below ten seconds."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """A duration that is only expected: one unit."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def dollars(amount: float | None) -> str:
    """Money; below one cent with enough digits that it does not read as nothing."""
    if amount is None:
        return "–"
    if amount == 0 or amount >= 0.00995:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.00005 else "< $0.0001"


def count(number: int) -> str:
    """Exact, with commas."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """``1 task``, ``2,000 tasks``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def rough(number: int) -> str:
    """A count to three digits: 29.4 k, 3.9 M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return str(number)


def percent(share: float, decimals: int = 1) -> str:
    """A share of 1 as percent."""
    return f"{100 * share:.{decimals}f} %"


def span(low: float, high: float, words: Any = str) -> str:
    """``8–16``, or one figure where both read the same."""
    first, last = words(low), words(high)
    if first == last:
        return str(first)
    number, _, unit = str(first).partition(" ")
    shared = unit and str(last).endswith(f" {unit}")
    return f"{number if shared else first}–{last}"


def tokens(usage: dict[str, Any]) -> int:
    """Input and output tokens together."""
    return int(usage.get("input_tokens", 0)) + int(usage.get("output_tokens", 0))


def seconds_between(earlier: str | None, later: str | None) -> float | None:
    """Seconds between two RFC 3339 times; None where one is missing."""
    if not earlier or not later:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def money(estimate: dict[str, Any], name: str) -> float | None:
    """An amount in dollars, given as ``cost_<name>_usd`` or ``cost_<name>_nano_usd``."""
    if (amount := estimate.get(f"cost_{name}_usd")) is not None:
        return float(amount)
    nano = estimate.get(f"cost_{name}_nano_usd")
    return None if nano is None else float(nano) / _NANO


def plan_words(plan: dict[str, Any], stages: list[dict[str, Any]], limit: float | None) -> str:
    """A plan in one line: tasks, tokens, cost, time."""
    known = sum(stage.get("total") or stage["planned_min"] for stage in stages)
    more = [stage for stage in stages if stage["planned_max"] > stage["planned_min"]]
    low = sum(max(stage["planned_min"], 0) for stage in more)
    high = sum(stage["planned_max"] for stage in more)
    parts = [counted(known, "task")]
    if high:
        parts[0] += f", {span(low, high) if low else f'up to {high}'} more later"
    return " · ".join([*parts, *_estimate(plan.get("estimate") or {}, limit)])


def _estimate(estimate: dict[str, Any], limit: float | None) -> list[str]:
    parts = []
    if expected := tokens(estimate):
        parts.append(f"about {rough(expected)} tokens")
    low, high = money(estimate, "low"), money(estimate, "high")
    if low is not None and high is not None:
        parts.append(span(low, high, dollars) + (f" of {dollars(limit)}" if limit else ""))
    if estimate.get("seconds_high"):
        parts.append(span(estimate["seconds_low"], estimate["seconds_high"], about))
    return parts
