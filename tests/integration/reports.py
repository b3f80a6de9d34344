"""What agents say of a share, drawn by Hypothesis."""

import json
from typing import NamedTuple

from hypothesis import strategies as st

from jobs.actions.settle import Report, ReportKind
from jobs.actions.spawning import SpawnOrder
from jobs.models import Task
from jobs.transitions.settling import UsageRow
from tests.integration.task_model import Share

FAILURES = (
    "transient",
    "permanent",
    "invalid_input",
    "timeout",
    "rate_limited",
    "overloaded",
    "worker_lost",
    "budget_exceeded",
)


class Outcome(NamedTuple):
    """How an attempt ended, and what it cost as a part of its task's ceiling."""

    what: str
    error_class: str = ""
    percent: int = 0


outcomes = st.builds(
    Outcome,
    st.sampled_from(["success", "success", "failure", "released", "broken"]),
    st.sampled_from(FAILURES),
    st.integers(0, 120),
)


def report_of(share: Share, outcome: Outcome) -> Report:
    """The report of this outcome; a cluster task that succeeds spawns one or two labels."""
    task = Task.objects.get(pk=share.task)
    report = Report(share.task, share.epoch, ReportKind.FAILED, usage=_usage(task, share, outcome))
    if outcome.what == "success":
        return report._replace(
            kind=ReportKind.SUCCEEDED,
            result=json.dumps([share.owner, share.epoch]),
            spawned=_labels(1 + outcome.percent % 2) if task.kind == "cluster" else (),
        )
    if outcome.what == "broken":
        return report._replace(kind=ReportKind.SUCCEEDED, result="{")
    if outcome.what == "released":
        return report._replace(kind=ReportKind.RELEASED)
    return report._replace(
        error_class=outcome.error_class, error_code="broken", error_message="it broke"
    )


def _usage(task: Task, share: Share, outcome: Outcome) -> tuple[UsageRow, ...]:
    cost = max(task.ceiling_nano_usd, 0) * outcome.percent // 100
    if not cost:
        return ()
    return (UsageRow(*share[:2], 0, "embedded-chat", "smollm2-135m", 3, 2, cost, False),)


def _labels(count: int) -> tuple[SpawnOrder, ...]:
    return tuple(
        SpawnOrder(f"label-{n}", "label", "{}", "{}", "smollm2-135m") for n in range(count)
    )
