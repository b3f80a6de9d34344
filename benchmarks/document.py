"""``docs/reference/performance.md``: its measured parts are written from a run's figures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import daef, peers
from benchmarks.goals import Verdict, medians, number, percentile, verdicts

CHECKOUT = peers.CHECKOUT
PAGE = CHECKOUT / "docs" / "reference" / "performance.md"
FIGURES = PAGE.with_suffix(".json")
PLOT = PAGE.with_suffix(".svg")
LAST = CHECKOUT / "build" / "benchmarks.json"

Medians = Mapping[str, Mapping[str, float]]


def keep(run: dict[str, Any]) -> None:
    """Keep the figures of the last run in ``build/benchmarks.json``."""
    LAST.parent.mkdir(exist_ok=True)
    LAST.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def write(run: dict[str, Any]) -> None:
    """Write the page's measured part, its plot and its figures."""
    FIGURES.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    replace_part("measured", measured(run))
    subprocess.run(
        [peers.VENV / "bin" / "python", "-m", "benchmarks.plot", str(FIGURES), str(PLOT)],
        cwd=CHECKOUT,
        check=True,
    )
    print(f"written       {PAGE.relative_to(CHECKOUT)}, {FIGURES.name}, {PLOT.name}")


def replace_part(name: str, text: str) -> None:
    """Put the text between the page's marks ``<!-- name -->`` and ``<!-- end of name -->``."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    new, found = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}{text}\n{end}",
        page,
        flags=re.S,
    )
    if found != 1:
        raise ValueError(f"{PAGE.name} has no part between {begin.strip()} and {end}")
    PAGE.write_text(new, encoding="utf-8")


def measured(run: dict[str, Any]) -> str:
    """The measured part as Markdown."""
    middle = medians(run["rounds"])
    found = verdicts(run["rounds"])
    parts = (
        _setting(run),
        "### Goals\n\n" + _goals(found),
        "### Throughput\n\n" + _throughput(run, middle, found),
        "![Tasks a second of each system](performance.svg)",
        "### What each figure buys\n\n" + _durability(run, middle),
        "### Processor time\n\nMicroseconds of processor for a no-op task, all processes.\n\n"
        + _processor_time(middle),
        "### Single submissions and latency\n\n" + _latency(middle),
    )
    return "\n\n".join(parts)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    titles = list(head)
    lines = [titles, ["---", *(["---:"] * (len(titles) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _setting(run: dict[str, Any]) -> str:
    quiet = [one["calibration_ms"] for r in run["rounds"] for one in r.values()]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
    return (
        f"{run['date']}, {len(run['rounds'])} interleaved rounds, medians. "
        f"{', '.join(run['machine'])}. {versions}.\n\n"
        f"How quiet the machine was: its load of the minute before was {run['load_before']:.1f}; a "
        "fixed loop took "
        f"{number(percentile(quiet, 0.5))} ms at the median, {number(min(quiet))} at best and "
        f"{number(max(quiet))} at worst before the {len(quiet)} measurements."
    )


def _goals(found: list[Verdict]) -> str:
    return table(
        ("goal", "bound", "median", "worst", "held in rounds", "verdict"),
        (
            (
                v.goal.text,
                f"{'≥' if v.goal.at_least else '≤'} {v.goal.bound:g}×",
                f"{number(v.median)}×",
                f"{number(min(v.ratios) if v.goal.at_least else max(v.ratios))}×",
                f"{v.held} of {len(v.ratios)}",
                "met" if v.met else "**missed**",
            )
            for v in found
        ),
    )


def _throughput(run: dict[str, Any], middle: Medians, found: list[Verdict]) -> str:
    ratios = {v.goal.system: v.median for v in found if v.goal.ours == v.goal.theirs == "noop"}
    order = sorted(middle, key=lambda name: -middle[name].get("noop", 0))
    rows = []
    for name in order:
        figures = middle[name]
        rates = [one[name]["noop"] for one in run["rounds"] if "noop" in one.get(name, {})]
        rows.append(
            (
                name,
                _or_dash(figures, "noop"),
                f"{number(min(rates))} to {number(max(rates))}" if rates else "–",
                f"{number(ratios[name])}×" if name in ratios else "",
                _or_dash(figures, "work"),
                _at_once(run, name),
                f"{_tasks(run, name):,}",
            )
        )
    return table(
        (
            "system",
            "no-op tasks/s",
            "range",
            "DAEF is faster",
            "20 ms tasks/s",
            "at once",
            "no-op tasks a round",
        ),
        rows,
    )


def _at_once(run: dict[str, Any], name: str) -> str:
    known = {peer.name: peer.at_once for peer in peers.PEERS}
    return known.get(name, str(daef.AGENTS * run["slots"]))


def _tasks(run: dict[str, Any], name: str) -> int:
    peer = next((peer for peer in peers.PEERS if peer.name == name), None)
    if peer is None or peer.equal_tasks:
        return int(run["tasks"])
    return max(20, round(peer.tasks * min(1.0, run["tasks"] / 100_000)))


def _durability(run: dict[str, Any], middle: Medians) -> str:
    known = {peer.name: (peer.settings, peer.durability) for peer in peers.PEERS}
    known[daef.NAME] = (daef.SETTINGS.format(slots=run["slots"]), daef.DURABILITY)
    order = sorted(middle, key=lambda name: -middle[name].get("noop", 0))
    lines = ["| system | tasks/s | settings | what survives |", "| --- | ---: | --- | --- |"]
    lines += [
        f"| {name} | {_or_dash(middle[name], 'noop')} | {known[name][0]} | {known[name][1]} |"
        for name in order
    ]
    return "\n".join(lines)


def _processor_time(middle: Medians) -> str:
    rows = []
    for name in sorted(middle, key=lambda name: middle[name].get("cpu", 0)):
        parts = {k.removeprefix("cpu_"): v for k, v in middle[name].items() if k[:4] == "cpu_"}
        told = ", ".join(f"{part} {number(value)}" for part, value in parts.items() if value >= 0.1)
        rows.append((name, _or_dash(middle[name], "cpu"), told))
    return table(("system", "µs a task", "of which"), rows)


def _latency(middle: Medians) -> str:
    names = {
        "singles_8": "single submissions/s over 8 connections, workers stopped",
        "singles_8_working": "the same, workers at work",
        "singles_1": "single submissions/s, one connection or producer, workers stopped",
        "singles_1_working": "the same, workers at work",
        "pickup_p50": "pickup on an idle system, submit to run, p50 ms",
        "pickup_p99": "the same, p99 ms",
        "interactive_idle_p50": "interactive task on an idle fabric, submit to result, p50 ms",
        "interactive_idle_p99": "the same, p99 ms",
        "interactive_busy_p50": "the same beside 50,000 tasks of 20 ms, p50 ms",
        "interactive_busy_p99": "the same, p99 ms",
    }
    systems = [name for name in middle if any(key in middle[name] for key in names)]
    return table(
        ("", *systems),
        ((told, *(_or_dash(middle[s], key) for s in systems)) for key, told in names.items()),
    )


def _or_dash(figures: Mapping[str, float], name: str) -> str:
    return number(figures[name]) if name in figures else "–"
