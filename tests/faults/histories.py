"""What clients, operators and forgers were told, against what the database says."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.faults.orders import Order
from tests.faults.verdict import Ask, Verdict, lines

ACTIONS = {
    "cancel": "job_cancel",
    "suspend": "job_suspend",
    "resume": "job_resume",
    "retry": "job_retry",
}
"""What operators ask, and what the audit log calls it."""


def check_histories(verdict: Verdict, ask: Ask, data: Path, orders: dict[str, Order]) -> None:
    """Everything that was told to anybody is true."""
    told = [line for path in sorted((data / "histories").iterdir()) for line in lines(path)]
    _check_submissions(verdict, ask, told, orders)
    _check_actions(verdict, ask, told)
    forged = [line for line in told if line["process"] == "nemesis"]
    verdict.found("forgeries that were taken", [line for line in forged if line["type"] == "fail"])
    verdict.figures["forgeries refused"] = sum(len(line["value"]["said"]) for line in forged)


def _check_submissions(
    verdict: Verdict, ask: Ask, told: list[dict[str, Any]], orders: dict[str, Order]
) -> None:
    """Every 201 is there, none twice, nothing that nobody asked for; the tasks are complete."""
    submissions = [line for line in told if line["f"] == "submit"]
    names: dict[str, set[str]] = defaultdict(set)
    for line in submissions:
        if line["type"] == "ok":
            names[line["value"]["key"]].add(line["value"]["job"])
    refused = [line["value"] for line in submissions if line["type"] == "fail"]
    verdict.found("submissions refused or failed", refused)
    stored = ask("select labels->>'key', 'job-' || id, total_tasks from job")
    jobs = {key: job for key, job, _ in stored}
    twice = [key for key, count in Counter(key for key, _, _ in stored).items() if count > 1]
    verdict.found("jobs stored twice", twice)
    verdict.found("answered with several jobs", [key for key in names if len(names[key]) > 1])
    lost = [key for key, told_names in names.items() if told_names != {jobs.get(key)}]
    verdict.found("accepted jobs lost", lost)
    verdict.found("jobs nobody asked for", [key for key in jobs if key not in orders])
    short = [(k, n) for k, _, n in stored if k in orders and n != orders[k].tasks]
    verdict.found("jobs without all their tasks", short)
    verdict.figures |= {
        "jobs": len(stored),
        "tasks": sum(total for _, _, total in stored),
        "submissions unclear": sum(line["type"] == "info" for line in submissions),
        "answers 500": sum(line["value"].get("status") == 500 for line in told),
        "lost": len(lost),
    }


def _check_actions(verdict: Verdict, ask: Ask, told: list[dict[str, Any]]) -> None:
    """An operator's action and its audit entry are there both or not at all."""
    entries: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for request, action, result in ask(
        "select request_id, action, result from audit_entry where action = any(%s)",
        list(ACTIONS.values()),
    ):
        entries[request].append((action, result))
    wrong = []
    asked = [line for line in told if line["f"] in ACTIONS]
    for line in asked:
        found = entries.get(line["value"]["request"], [])
        if line["type"] != "invoke" and not _is_recorded(line, found):
            wrong.append((line["f"], line["type"], line["value"], found))
    verdict.found("actions and audit entries that do not match", wrong)
    known = {line["value"]["request"] for line in asked}
    verdict.found("audit entries nobody asked for", sorted(set(entries) - known))
    verdict.figures |= {
        "operators' actions": sum(line["type"] == "ok" for line in asked),
        "refused ones": sum(line["type"] == "fail" for line in asked),
        "unclear ones": sum(line["type"] == "info" for line in asked),
    }


def _is_recorded(line: dict[str, Any], found: list[tuple[str, str]]) -> bool:
    """Whether the audit entries of a request are those that its answer promised."""
    done = found.count((ACTIONS[line["f"]], "ok"))
    refused = found.count((ACTIONS[line["f"]], "refused"))
    match line["type"], line["value"].get("status"):
        case "ok", _:
            # What changed nothing leaves no entry; a retry says whether it did.
            changed = line["value"]["reopened"]
            return refused == 0 and done <= 1 and (changed is None or done == bool(changed))
        case "fail", 409:
            return (done, refused) == (0, 1)
        case _:
            return done <= 1
