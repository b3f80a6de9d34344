"""The figures as metric families: what counters and histograms add up to, and gauges as of now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

from audit import checks
from jobs.actions.fleet import silent_seconds
from jobs.metrics import BY_DJANGO, FAMILIES, GROWING, RUN_EDGES, WAIT_EDGES, Family, series
from jobs.models import ModelEndpoint
from jobs.planner import PLANNERS
from jobs.planner.draft import KINDS
from jobs.queries import load
from jobs.queries.formats import select
from jobs.queries.workers import LOST
from jobs.states import (
    JOB_ENDS,
    PRIORITY_NAMES,
    AttemptOutcome,
    JobStatus,
    TaskStatus,
    WorkerState,
)
from queueing.tickets import EVENTS

Labels = dict[str, str]
Gauges = dict[str, list[tuple[Labels, float]]]
Samples = dict[str, float]
"""The sums of one sample name by its labels as JSON."""

EDGES: Final = {"daef_task_wait_seconds": WAIT_EDGES, "daef_task_run_seconds": RUN_EDGES}

CLOSED: Final[dict[str, Sequence[str]]] = {
    "type": sorted(PLANNERS),
    "status": [JobStatus.PENDING.value, *sorted(JOB_ENDS)],
    "kind": sorted(KINDS),
    "outcome": [outcome.value for outcome in AttemptOutcome],
    "event": EVENTS,
    "direction": ("input", "output"),
}
"""What each label of the counters may be; series start at zero, so that no first step is missed."""

# Every worker that has not left, by the index of the living; a worker's busy slots are its leases.
WORKERS = """
select case when w.heartbeat_at < clock_timestamp() - make_interval(secs => %(silent)s)
        then %(lost)s else w.state end as state,
    count(*)::int as workers, sum(w.slots)::int as slots,
    sum(least(w.slots, coalesce((select sum(cardinality(l.task_ids)) from lease l
        where l.owner = w.id), 0)))::int as busy
from pool p cross join unnest(%(states)s::text[]) as s(state)
join worker w on w.pool_id = p.id and w.state = s.state
group by 1
"""


@dataclass(frozen=True)
class Page:
    """All families of one scrape, as ``prometheus_client`` renders them."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        """Return the families; the name is that of ``prometheus_client``'s collectors."""
        return self.families


def scrape() -> Page:
    """Read every figure; the cost follows series, pools, leases and workers, never tasks."""
    now = load.current(everything=True)
    sums: dict[str, Samples] = defaultdict(dict)
    for (name, labels), value in now.sums.items():
        sums[name][labels] = value
    gauges = {**_queue_gauges(now), **_fleet_gauges(), **_audit_gauges()}
    own = [_family(family, sums, gauges) for family in FAMILIES]
    return Page([*own, *_counted_by_django(sums)])


def _family(family: Family, sums: Mapping[str, Samples], gauges: Gauges) -> Metric:
    metric = Metric(family.name.removesuffix("_total"), family.help, family.type)
    if family.type == "gauge":
        for labels, value in gauges[family.name]:
            metric.add_sample(family.name, labels, value)
    elif family.type == "histogram":
        _add_histogram(metric, family, sums)
    else:
        for labels in _label_sets(family, sums.get(family.name, {})):
            value = _value(sums, family.name, labels) / family.scale
            metric.add_sample(family.name, labels, value)
    return metric


def _add_histogram(metric: Metric, family: Family, sums: Mapping[str, Samples]) -> None:
    name = family.name
    for labels in _label_sets(family, sums.get(f"{name}_count", {})):
        for edge in (*map(str, EDGES[name]), "+Inf"):
            bucket = {**labels, "le": edge}
            metric.add_sample(f"{name}_bucket", bucket, _value(sums, f"{name}_bucket", bucket))
        for part in ("count", "sum"):
            metric.add_sample(f"{name}_{part}", labels, _value(sums, f"{name}_{part}", labels))


def _label_sets(family: Family, found: Samples) -> list[Labels]:
    """Every combination of the closed sets, and what was counted besides."""
    known = {**CLOSED, "model": _models() if "model" in family.labels else ()}
    sets = [
        dict(zip(family.labels, values, strict=True))
        for values in product(*(known[label] for label in family.labels))
    ]
    return sets + [
        labels for text in sorted(found) if (labels := msgspec.json.decode(text)) not in sets
    ]


def _value(sums: Mapping[str, Samples], name: str, labels: Labels) -> float:
    return sums.get(name, {}).get(series(name, labels)[1], 0.0)


def _models() -> list[str]:
    """The models of the fabric's endpoints."""
    names = ModelEndpoint.objects.values_list("model_names", flat=True)
    return sorted({model for each in names for model in each})


def _counted_by_django(sums: Mapping[str, Samples]) -> Iterator[Metric]:
    """What django-prometheus counted in any process, under the names it has in this one."""
    for known in REGISTRY.collect():
        if known.type in GROWING and known.name.startswith(BY_DJANGO):
            metric = Metric(known.name, known.documentation, known.type)
            for suffix in ("_total",) if known.type == "counter" else ("_bucket", "_count", "_sum"):
                name = known.name + suffix
                for labels, value in _in_order(sums.get(name, {})):
                    metric.add_sample(name, labels, value)
            yield metric


def _in_order(samples: Samples) -> list[tuple[Labels, float]]:
    """Samples by their labels, the edges of a histogram rising."""
    decoded = [(msgspec.json.decode(text), value) for text, value in samples.items()]
    return sorted(decoded, key=_order)


def _order(sample: tuple[Labels, float]) -> tuple[list[str], float]:
    labels = sample[0]
    rest = [value for name, value in sorted(labels.items()) if name != "le"]
    return rest, float(labels.get("le", 0))


def _queue_gauges(now: load.Current) -> Gauges:
    found = load.pools()
    tasks = {pool["name"]: now.tasks(pool["id"]) for pool in found}
    rows = load.queue_rows(now, load.oldest_seconds(), found)
    places = [{"pool": row["pool"], "priority": PRIORITY_NAMES[row["priority"]]} for row in rows]
    dead = sum(counts[TaskStatus.DEAD_LETTERED] for counts in tasks.values())
    return {
        "daef_tasks": [
            ({"status": status, "pool": pool}, count)
            for pool, counts in tasks.items()
            for status, count in counts.items()
        ],
        "daef_queue_depth": [
            (place, row["queued"]) for place, row in zip(places, rows, strict=True)
        ],
        "daef_oldest_queued_seconds": [
            (place, row["oldest_seconds"] or 0.0) for place, row in zip(places, rows, strict=True)
        ],
        "daef_dead_letter_tasks": [({}, dead)],
    }


def _fleet_gauges() -> Gauges:
    states = [WorkerState.ACTIVE.value, WorkerState.DRAINING.value]
    parameters = {"silent": silent_seconds(), "lost": LOST, "states": states}
    rows: dict[str, dict[str, Any]] = {row["state"]: row for row in select(WORKERS, parameters)}
    alive = [row for state, row in rows.items() if state != LOST]
    busy = sum(row["busy"] for row in alive)
    workers = {state: rows.get(state, {}).get("workers", 0) for state in (*states, LOST)}
    slots = {"busy": busy, "free": sum(row["slots"] for row in alive) - busy}
    return {
        "daef_workers": [({"state": state}, count) for state, count in workers.items()],
        "daef_slots": [({"state": state}, count) for state, count in slots.items()],
    }


def _audit_gauges() -> Gauges:
    log = checks.status()
    return {
        "daef_audit_head": [({}, log.head.number)],
        "daef_audit_broken": [({}, float(log.broken is not None))],
    }
