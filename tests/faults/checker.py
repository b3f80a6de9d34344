"""Compares what clients were told and what ran with what the database says."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from tests.faults.cluster import Cluster
from tests.faults.histories import check_histories
from tests.faults.orders import Order
from tests.faults.tables import check_tables
from tests.faults.verdict import Ask, Verdict, asker

FIRED = re.compile(r"^(\d+\.\d+) \d+ fault fired: (.+)$")
FENCED = re.compile(r"(\d+) tasks were not ours any more")
ERROR = re.compile(r"^[\w.]+(?:Error|Exception|Raised|Timeout)(?::.*)?$", re.MULTILINE)
FORESEEN = (
    "faultpoints.",
    "psycopg",
    "daef_site.database.pool.PoolTimeout",
    "django.db.utils.OperationalError",
    "django.db.utils.InterfaceError",
    "redis.",
    # Workers of the multiprocessing module whose agent was killed.
    "EOFError",
    "BrokenPipeError",
    "ConnectionResetError",
)
"""Last lines of tracebacks that a fault explains; any other is a bug."""

CLOCK_SECONDS = 1.0
"""A line whose own time is this far from when it was read was written under a wrong clock."""


def check(
    cluster: Cluster,
    orders: dict[str, Order],
    fired: Sequence[tuple[float, str]],
    drained: float,
) -> Verdict:
    """Everything that must hold after a run; ``drained`` is -1 when the drain did not end."""
    verdict = Verdict()
    verdict.figures |= {"lease": cluster.lease_seconds, "drained in": round(drained, 1)}
    with cluster.connect() as connection:
        ask = asker(connection)
        if drained < 0:
            rows = ask("select id, kind, status from task where finished_at is null limit 50")
            verdict.found("tasks that did not end in time", rows)
        check_histories(verdict, ask, cluster.data, orders)
        check_tables(verdict, ask, cluster.data, orders)
        _count_faults(verdict, ask, fired)
    verdict.found("runners that outlived their agent", cluster.outlived)
    _check_answers(verdict)
    _check_logs(verdict, cluster)
    said = cluster.verify()
    if not said.startswith('{"sound": true'):
        verdict.problems.append(f"manage.py verify: {said[:2000]}")
    return verdict


def _count_faults(verdict: Verdict, ask: Ask, fired: Sequence[tuple[float, str]]) -> None:
    """A fault counts when some attempt was under way at the moment its line was written."""
    spans = ask(
        "select extract(epoch from started_at)::float, extract(epoch from finished_at)::float "
        "from attempt"
    )
    starts, ends = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    for seen, line in fired:
        found = FIRED.match(line)
        assert found, line
        at = float(found[1])
        if abs(at - seen) > CLOCK_SECONDS:
            at = seen
        name = found[2].removeprefix("nemesis ").partition(" (")[0]
        busy = bisect_right(starts, at) > bisect_right(ends, at)
        (verdict.faults if busy else verdict.idle_faults)[name] += 1


def _check_answers(verdict: Verdict) -> None:
    """A 500 is right only where a fault point of the gateway raised."""
    fired = verdict.faults + verdict.idle_faults
    raised = sum(
        count
        for name, count in fired.items()
        if name.startswith(("gateway.", "action.")) and name.endswith("raise")
    )
    answers = int(verdict.figures["answers 500"])
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
