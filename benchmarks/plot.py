"""The page's plot, drawn in the peers' environment: ``python -m benchmarks.plot FIGURES SVG``."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "daef"

from matplotlib import pyplot  # noqa: E402 (the backend has to be chosen first)


def main() -> None:
    """Draw one bar a system, on a logarithmic axis, with the range of its rounds."""
    rounds = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rounds"]
    rates: dict[str, list[float]] = {}
    for figures in rounds:
        for name, own in figures.items():
            if "noop" in own:
                rates.setdefault(name, []).append(own["noop"])
    names = sorted(rates, key=lambda name: statistics.median(rates[name]))
    middle = [statistics.median(rates[name]) for name in names]
    below = [value - min(rates[name]) for value, name in zip(middle, names, strict=True)]
    above = [max(rates[name]) - value for value, name in zip(middle, names, strict=True)]
    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(names) + 1.2), layout="constrained")
    colours = ["#2f6fde" if name == "daef" else "#9aa3af" for name in names]
    bars = axes.barh(names, middle, color=colours, xerr=[below, above], ecolor="#4b5563", capsize=3)
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in middle], padding=8)
    axes.set_xscale("log")
    axes.set_xlim(left=1, right=max(middle) * 4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("no-op tasks a second, end to end (logarithmic; whiskers: all rounds)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
