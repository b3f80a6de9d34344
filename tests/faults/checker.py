"""Compares what clients were told and what ran with what the database says."""

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from faultpoints import POINTS
from tests.faults.clients import POISON_ATTEMPTS, Order
from tests.faults.cluster import Cluster

FIRED = re.compile(r"^(\d+\.\d+) \d+ fault fired: (.+)$")
FENCED = re.compile(r"(\d+) tasks were not ours any more")
ERROR = re.compile(r"^[\w.]+(?:Error|Exception|Raised|Timeout)(?::.*)?$", re.MULTILINE)
FORESEEN = (
    "faultpoints.",
    "psycopg",
    "django.db.utils.OperationalError",
    "django.db.utils.InterfaceError",
    "redis.",
    # Workers of the multiprocessing module whose agent was killed.
    "EOFError",
    "BrokenPipeError",
    "ConnectionResetError",
)
"""Last lines of tracebacks that a fault explains; any other is a bug."""

MOST_SHOWN = 10

Rows = list[tuple[Any, ...]]
Ask = Callable[..., Rows]


@dataclass
class Verdict:
    """What a run was and what it broke; ``problems`` is empty when all is well."""

    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """Faults by kind that fired while a task was running."""

    idle_faults: Counter[str] = field(default_factory=Counter)
    """Faults that fired while nothing was running; they count for nothing."""

    figures: dict[str, float] = field(default_factory=dict)
    points: set[str] = field(default_factory=set)
    """Fault points that fired, whenever."""

    def found(self, what: str, which: list[Any]) -> None:
        """Note something that is broken."""
        if which:
            shown = ", ".join(map(str, which[:MOST_SHOWN]))
            self.problems.append(f"{what}: {len(which)} ({shown})")

    def __str__(self) -> str:
        """Figures, faults and problems, for people."""
        lines = [f"{name:<28}{value:g}" for name, value in self.figures.items()]
        lines.append(f"{'faults that counted':<28}{self.faults.total()}")
        lines += [f"  {name:<40}{count}" for name, count in sorted(self.faults.items())]
        lines.append(f"{'faults while idle':<28}{self.idle_faults.total()}")
        lines.append(f"{'points that never fired':<28}{sorted(set(POINTS) - self.points)}")
        return "\n".join([*lines, *(f"BROKEN  {problem}" for problem in self.problems)])


def check(cluster: Cluster, orders: dict[str, Order], drained: float, seconds: float) -> Verdict:
    """Everything that must hold after a run; ``drained`` is -1 when the drain did not end."""
    verdict = Verdict()
    verdict.figures |= {"seconds": round(seconds, 1), "drained in": round(drained, 1)}
    with cluster.connect() as connection:
        ask = _asker(connection)
        if drained < 0:
            rows = ask("select id, kind, status from task where finished_at is null limit 50")
            verdict.found("tasks that did not end in time", rows)
        _check_submissions(verdict, ask, cluster.data, orders)
        _check_tasks(verdict, ask, orders)
        _check_attempts(verdict, ask)
        _check_executions(verdict, ask, cluster.data)
        _count_faults(verdict, ask, cluster.data)
    _check_answers(verdict)
    _check_logs(verdict, cluster)
    said = cluster.verify()
    if not said.startswith('{"sound": true'):
        verdict.problems.append(f"manage.py verify: {said[:2000]}")
    return verdict


def _asker(connection: psycopg.Connection[Any]) -> Ask:
    def ask(statement: str, *parameters: object) -> Rows:
        return connection.execute(statement, parameters or None).fetchall()

    return ask


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of a JSON lines file, where there is one."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def _check_submissions(verdict: Verdict, ask: Ask, data: Path, orders: dict[str, Order]) -> None:
    """Every 201 is there, none twice, nothing that nobody asked for; the tasks are complete."""
    told: dict[str, set[str]] = {}
    kinds: Counter[str] = Counter()
    for path in (data / "histories").iterdir():
        for line in lines(path):
            if line["f"] == "submit":
                kinds[line["type"]] += 1
                if line["type"] == "ok":
                    told.setdefault(line["value"]["key"], set()).add(line["value"]["job"])
                if line["value"].get("status") == 500:
                    verdict.figures["answers 500"] = verdict.figures.get("answers 500", 0) + 1
                if line["type"] == "fail":
                    verdict.found("submissions refused or failed", [line["value"]])
    stored = ask("select labels->>'key', 'job-' || id, total_tasks from job")
    jobs = {key: job for key, job, _ in stored}
    twice = [key for key, count in Counter(key for key, _, _ in stored).items() if count > 1]
    verdict.found("jobs stored twice", twice)
    verdict.found("answered with several jobs", [key for key in told if len(told[key]) > 1])
    lost = [key for key, names in told.items() if names != {jobs.get(key)}]
    verdict.found("accepted jobs lost", lost)
    verdict.found("jobs nobody asked for", [key for key in jobs if key not in orders])
    short = [(k, n) for k, _, n in stored if k in orders and n != orders[k].tasks]
    verdict.found("jobs without all their tasks", short)
    verdict.figures |= {
        "jobs": len(stored),
        "tasks": sum(total for _, _, total in stored),
        "submissions unclear": kinds["info"],
        "lost": len(lost),
    }


def _check_tasks(verdict: Verdict, ask: Ask, orders: dict[str, Order]) -> None:
    """What was not cancelled has succeeded; poison is buried after exactly its attempts."""
    poison = [key for key, order in orders.items() if order.poison]
    cancelled = [key for key, order in orders.items() if order.cancel]
    unhappy = ask(
        "select t.id, t.kind, t.status, t.error_code from task t join job j on j.id = t.job_id "
        "where t.status <> 'Succeeded' and not j.labels->>'key' = any(%s)",
        [*poison, *cancelled],
    )
    verdict.found("tasks that should have succeeded", unhappy)
    counts = ask(
        "select t.id, t.status, t.attempt, (select count(*) from attempt a where a.task_id = t.id "
        "and a.outcome not in ('Released')) from task t where t.kind = 'exit'"
    )
    expected = ("DeadLettered", POISON_ATTEMPTS, POISON_ATTEMPTS)
    verdict.found("poison not ended right", [row for row in counts if row[1:] != expected])
    verdict.figures["poison tasks"] = len(counts)
    wrong = ask(
        "select t.id, t.result, i.input from task t join task_input i on i.task_id = t.id "
        "where t.kind = 'witness' and t.status = 'Succeeded' "
        "and (t.result::jsonb->'value')::text <> i.input::jsonb::text"
    )
    verdict.found("results of another task", wrong)


def _check_attempts(verdict: Verdict, ask: Ask) -> None:
    """Epochs are legal, one success ends them, and the result is that success's own."""
    duplicated = ask(
        "select task_id from attempt where outcome = 'Succeeded' "
        "group by task_id, generation having count(*) > 1"
    )
    verdict.found("results twice", duplicated)
    stale = ask(
        "select t.id, t.result, a.epoch from task t join attempt a on a.task_id = t.id "
        "and a.outcome = 'Succeeded' where t.kind = 'witness' "
        "and (t.result::jsonb->>'epoch')::int <> a.epoch"
    )
    verdict.found("results of a lease that was lost", stale)
    after = ask(
        "select a.task_id, a.epoch from attempt a join attempt s on s.task_id = a.task_id "
        "and s.outcome = 'Succeeded' where a.epoch > s.epoch"
    )
    verdict.found("attempts after the success", after)
    gaps = ask(
        "select task_id, array_agg(epoch order by epoch) from attempt group by task_id "
        "having min(epoch) <> 1 or max(epoch) <> count(*)"
    )
    verdict.found("epochs that are not 1, 2, 3 …", gaps)
    outcomes: dict[str, int] = dict(ask("select outcome, count(*) from attempt group by outcome"))
    verdict.figures |= {
        "duplicated": len(duplicated),
        "stale": len(stale),
        "attempts": sum(outcomes.values()),
        "attempts lost": outcomes.get("Lost", 0),
        "attempts released": outcomes.get("Released", 0),
    }


def _check_executions(verdict: Verdict, ask: Ask, data: Path) -> None:
    """What ran was claimed; a success was run. (An epoch may run twice: a claim is not flushed.)"""
    runs = Counter((line["task"], line["epoch"]) for line in lines(data / "executions.jsonl"))
    attempts = {
        (task, epoch): outcome
        for task, epoch, outcome in ask("select task_id, epoch, outcome from attempt")
    }
    known = {key for key, kind in ask("select id, kind from task") if kind == "witness"}
    unproved = [
        key
        for key, outcome in attempts.items()
        if outcome == "Succeeded" and key[0] in known and key not in runs
    ]
    verdict.found("successes that nobody ran", unproved)
    verdict.found("runs of leases that never were", [key for key in runs if key not in attempts])
    verdict.figures |= {
        "executions": runs.total(),
        "re-executions": runs.total() - len({task for task, _ in runs}),
        "epochs run twice": sum(count > 1 for count in runs.values()),
    }


def _count_faults(verdict: Verdict, ask: Ask, data: Path) -> None:
    """A fault counts when some attempt was under way at the moment its line was written."""
    spans = ask(
        "select extract(epoch from started_at)::float, extract(epoch from finished_at)::float "
        "from attempt"
    )
    starts, ends = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    for line in (data / "faults.log").read_text(encoding="utf-8").splitlines():
        found = FIRED.match(line)
        assert found, line
        at, what = float(found[1]), found[2]
        name = what.removeprefix("nemesis ").partition(" (")[0]
        verdict.points.add(name.partition(" ")[0])
        busy = bisect_right(starts, at) > bisect_right(ends, at)
        (verdict.faults if busy else verdict.idle_faults)[name] += 1


def _check_answers(verdict: Verdict) -> None:
    """A 500 is right only where a fault point of the gateway raised."""
    fired = verdict.faults + verdict.idle_faults
    raised = sum(
        count
        for name, count in fired.items()
        if name.startswith("gateway.") and name.endswith("raise")
    )
    answers = int(verdict.figures.setdefault("answers 500", 0))
    verdict.found("answers 500 that no fault point explains", [answers][: answers > raised])


def _check_logs(verdict: Verdict, cluster: Cluster) -> None:
    """Nothing of ours fell over in a way nobody thought of."""
    fenced = 0
    for name, text in cluster.logs():
        fenced += sum(map(int, FENCED.findall(text)))
        fallen = [error for error in ERROR.findall(text) if not error.startswith(FORESEEN)]
        verdict.found(f"errors nobody foresaw in {name}", fallen)
        verdict.found(f"threads that died in {name}", re.findall(r"Exception in thread .*", text))
    verdict.figures["fenced"] = fenced
