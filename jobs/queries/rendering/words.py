"""How figures read in a report: shares, money, durations, confidence. Pure."""

from __future__ import annotations

from typing import Any, Final

NARROW: Final = "\u00a0"

CONFIDENCE_WORDS: Final = ((0.85, "high"), (0.75, "good"), (0.0, "fair"))
"""From which confidence on a cause is called what (console design, report page)."""


def percent(share: float) -> str:
    """Return a share of 1 as percent with one decimal."""
    return f"{100 * share:.1f}{NARROW}%"


def dollars(amount: float | None) -> str:
    """Return money with enough digits that small sums do not read as nothing."""
    if amount is None:
        return "–"
    if amount == 0 or amount >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.6f}".rstrip("0") if amount >= 1e-6 else "< $0.000001"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units; one decimal below ten seconds."""
    if seconds < 10:
        return f"{seconds:.1f}{NARROW}s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}{NARROW}h {minutes:02d}{NARROW}min"
    return f"{minutes}{NARROW}min {rest:02d}{NARROW}s" if minutes else f"{rest}{NARROW}s"


def confidence(value: Any) -> str:
    """Return a confidence as number and word, or a dash where there is none."""
    if not isinstance(value, int | float):
        return "–"
    word = next((word for least, word in CONFIDENCE_WORDS if value >= least), "fair")
    return f"{value:.2f}, {word}"


def documents_of(report: dict[str, Any]) -> tuple[int, int]:
    """Return how many documents are explained, and how many there are."""
    explained = sum(cause.get("documents", 0) for cause in report.get("causes") or [])
    return explained, explained + ((report.get("unexplained") or {}).get("documents", 0))


def headline(report: dict[str, Any]) -> str:
    """Return the title of a report."""
    causes = report.get("causes")
    _, total = documents_of(report)
    if report["type"] == "analyze" and report["complete"] and causes and total:
        noun = "cause" if len(causes) == 1 else "causes"
        return f"{len(causes)} {noun} in {total} documents"
    return f"Report of {report['job']}"


def how_it_was_made(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines on method and policy, for `analyze` with its measure of separation."""
    method = report.get("method") or {}
    lines = [("Vectors", method.get("embedding_model")), ("Tried", _tried(method))]
    lines.append(("Separation", _score(method.get("score"))))
    lines.append(("Titles by", _labelled_by(report.get("causes") or [])))
    lines.append(("Model", report.get("model")))
    lines.append(("Policy", report["policy"]))
    return [(name, str(value)) for name, value in lines if value]


def what_it_cost(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines on cost, tokens, time and tasks."""
    usage, progress = report["usage"], report["progress"]
    limit = report["budget"]["limit_usd"]
    of_limit = f" of {dollars(limit)} limit" if limit is not None else ""
    return [
        ("Cost", dollars(report["cost_usd"]) + of_limit),
        ("Tokens", f"{usage['input_tokens']:,} in · {usage['output_tokens']:,} out"),
        ("Time", duration(report["duration_seconds"])),
        ("Tasks", f"{progress['succeeded']:,} of {progress['total']:,} succeeded"),
        ("Made", report["generated_at"].replace("T", " ").partition(".")[0] + " UTC"),
    ]


def _tried(method: dict[str, Any]) -> str | None:
    tried = method.get("clusters_considered")
    if isinstance(tried, list) and tried:
        return f"{tried[0]} to {tried[-1]} causes"
    return f"{tried} numbers of causes" if isinstance(tried, int) else None


def _score(score: Any) -> str | None:
    return f"silhouette {score:.2f}" if isinstance(score, int | float) else None


def _labelled_by(causes: list[dict[str, Any]]) -> str | None:
    names = [str(cause.get("labelled_by")) for cause in causes if cause.get("labelled_by")]
    fallen_back = sum(name == "keywords" for name in names)
    models = sorted(set(names) - {"keywords"})
    if not names:
        return None
    told = ", ".join(models) or "keywords"
    return f"{told}; {fallen_back} of {len(names)} by keywords" if models and fallen_back else told
