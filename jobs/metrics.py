"""The fabric's figures: their names, their labels, and how counted things add up to them.

Two sources, one table of sums (``figure``):

- What leaves rows is counted by the transaction that leaves them: it inserts a *tally*, which the
  ``figures`` loop adds to the sums. Exact whatever is killed when.
- What leaves no row is counted in the process by ``prometheus_client``; each second the loop adds
  what came since to the sums. A killed process takes at most that second with it.

Pure: no Django, no I/O.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from prometheus_client import REGISTRY, Counter
from prometheus_client.registry import Collector

from jobs.states import AttemptOutcome, TaskStatus

WAIT_EDGES: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0)
"""Upper edges of the waits' histogram (seconds); the classes' bounds are among them or near."""

RUN_EDGES: Final = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper edges of the runs' histogram (seconds), from an echo to a long chat."""

GROWING: Final = frozenset({"counter", "histogram"})
BY_DJANGO: Final = ("django_http_", "django_db_")
OURS: Final = ("daef_", *BY_DJANGO)
"""What is told of a process: not its memory, garbage collector or migrations."""

OTHER: Final = "other"
"""The label of whatever is outside a closed set."""

MOST_CODES: Final = 100
"""Error codes that one pass keeps apart in the minutes: agents make them up."""

MICROSECONDS: Final = 1_000_000
NANO_PER_USD: Final = 10**9

FENCED: Final = Counter(
    "daef_settlements_fenced",
    "Outcomes that were refused because their lease was not held any more.",
)

Series = tuple[str, str]
"""A sample's name and its labels as sorted JSON: what a sum is kept under."""


class Family(NamedTuple):
    """A metric as Prometheus knows it; ``scale`` divides what is stored."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...] = ()
    scale: int = 1


FAMILIES: Final = (
    Family(
        "daef_jobs_total",
        "counter",
        "Jobs by type that were accepted (Pending), or came to an end.",
        ("type", "status"),
    ),
    Family("daef_tasks", "gauge", "Tasks that are kept, by status.", ("status", "pool")),
    Family(
        "daef_queue_depth",
        "gauge",
        "Tasks that could run or back off; those of suspended jobs apart.",
        ("pool", "priority"),
    ),
    Family(
        "daef_oldest_queued_seconds",
        "gauge",
        "How long the longest waiting task that could run has been queued; 0 when none waits.",
        ("pool", "priority"),
    ),
    Family(
        "daef_task_wait_seconds",
        "histogram",
        "Time in the queue before an attempt, told when the attempt ends.",
    ),
    Family(
        "daef_task_run_seconds",
        "histogram",
        "Time from claim to settlement of attempts that succeeded or failed.",
        ("kind",),
    ),
    Family(
        "daef_attempts_total",
        "counter",
        "Attempts that ended, by task kind and outcome.",
        ("kind", "outcome"),
    ),
    Family(
        "daef_leases_expired_total",
        "counter",
        "Lease shares that ran out: one per task whose worker was lost or took too long.",
    ),
    Family("daef_settlements_fenced_total", "counter", FENCED._documentation),
    Family(
        "daef_tickets_total",
        "counter",
        "Wake-ups for agents: written to Redis, refused by it, taken by an agent.",
        ("event",),
    ),
    Family("daef_dead_letter_tasks", "gauge", "Tasks that wait for a person."),
    Family("daef_requeued_total", "counter", "Dead letters that were queued again."),
    Family(
        "daef_workers",
        "gauge",
        "Workers that have not left; Lost ones were not heard of for a lease.",
        ("state",),
    ),
    Family("daef_slots", "gauge", "Slots of workers that are not lost.", ("state",)),
    Family(
        "daef_tokens_total",
        "counter",
        "Tokens that model calls used, wasted ones included.",
        ("model", "direction"),
    ),
    Family(
        "daef_cost_usd_total",
        "counter",
        "What model calls cost in US dollars, wasted ones included.",
        ("model",),
        NANO_PER_USD,
    ),
    Family("daef_audit_head", "gauge", "Number of the newest entry of the audit log."),
    Family("daef_audit_broken", "gauge", "1 while the audit log's own check knows of a breach."),
)

COUNTED_STATUSES: Final = (
    "open",
    TaskStatus.BLOCKED.value,
    TaskStatus.SUCCEEDED.value,
    TaskStatus.DEAD_LETTERED.value,
    TaskStatus.CANCELLED.value,
)
"""What a tally of tasks counts, in order; the open ones include those that are blocked."""

POOL_TASKS: Final = "pool_tasks"
"""The sums behind the gauges of tasks, by pool, priority and counted status; not shown as such."""


class Tally(NamedTuple):
    """What one transaction adds: a name, labels and amounts whose order the name decides."""

    name: str
    labels: Sequence[str | None]
    amounts: Sequence[int]
    happened_at: datetime


class MinuteKey(NamedTuple):
    """What a row of ``minute_stats`` is for."""

    minute: datetime
    pool_id: int
    priority: int
    outcome: str
    code: str


@dataclass
class Sums:
    """What tallies add up to: sums by series, and counts of attempts by minute.

    A minute's counts are attempts, input tokens, output tokens and nano-USD.
    """

    series: dict[Series, float] = field(default_factory=lambda: defaultdict(float))
    minutes: dict[MinuteKey, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * 4)
    )
    codes: set[str] = field(default_factory=set)

    def add(self, name: str, amount: float, **labels: str) -> None:
        """Add to one series."""
        self.series[series(name, labels)] += amount

    def code(self, code: str) -> str:
        """The error code, or "other" where too many different ones came at once."""
        if len(self.codes) < MOST_CODES:
            self.codes.add(code)
        return code if code in self.codes else OTHER


def series(name: str, labels: Mapping[str, str]) -> Series:
    """What the sum of a sample is kept under."""
    return name, json.dumps(labels, sort_keys=True, separators=(",", ":"))


def add_up(tallies: Iterable[Tally], kinds: Iterable[str]) -> Sums:
    """Add tallies up; a kind that is not among ``kinds`` counts as "other"."""
    sums, known = Sums(), frozenset(kinds)
    for tally in tallies:
        _ADDERS[tally.name](sums, tally, known)
    return sums


def _add_attempts(sums: Sums, tally: Tally, kinds: frozenset[str]) -> None:
    pool, priority, kind, outcome, code, waited, ran = tally.labels
    attempts, wait, run, *used = tally.amounts
    kind = kind if kind in kinds else OTHER
    sums.add("daef_attempts_total", attempts, kind=kind, outcome=str(outcome))
    if outcome == AttemptOutcome.LOST:
        sums.add("daef_leases_expired_total", attempts)
    _observe(sums, "daef_task_wait_seconds", WAIT_EDGES, int(waited or 0), attempts, wait)
    if ran is not None:
        _observe(sums, "daef_task_run_seconds", RUN_EDGES, int(ran), attempts, run, kind=kind)
    minute = tally.happened_at.replace(second=0, microsecond=0)
    key = MinuteKey(minute, int(pool or 0), int(priority or 0), str(outcome), sums.code(code or ""))
    for index, amount in enumerate((attempts, *used)):
        sums.minutes[key][index] += amount


def _observe(
    sums: Sums,
    name: str,
    edges: Sequence[float],
    reached: int,
    count: int,
    microseconds: int,
    **labels: str,
) -> None:
    """Add observations to a histogram; ``reached`` is how many of its edges they are within."""
    for edge in edges[len(edges) - reached :]:
        sums.add(f"{name}_bucket", count, **labels, le=str(edge))
    sums.add(f"{name}_bucket", count, **labels, le="+Inf")
    sums.add(f"{name}_count", count, **labels)
    sums.add(f"{name}_sum", microseconds / MICROSECONDS, **labels)


def _add_tasks(sums: Sums, tally: Tally, _kinds: frozenset[str]) -> None:
    pool, priority = map(str, tally.labels)
    for status, amount in zip(COUNTED_STATUSES, tally.amounts, strict=True):
        if amount:
            sums.add(POOL_TASKS, amount, pool=pool, priority=priority, status=status)


def _add_jobs(sums: Sums, tally: Tally, _kinds: frozenset[str]) -> None:
    kind, status = map(str, tally.labels)
    sums.add("daef_jobs_total", tally.amounts[0], type=kind, status=status)


def _add_usage(sums: Sums, tally: Tally, _kinds: frozenset[str]) -> None:
    (model,) = map(str, tally.labels)
    input_tokens, output_tokens, cost = tally.amounts
    sums.add("daef_tokens_total", input_tokens, model=model, direction="input")
    sums.add("daef_tokens_total", output_tokens, model=model, direction="output")
    sums.add("daef_cost_usd_total", cost, model=model)


def _add_requeued(sums: Sums, tally: Tally, _kinds: frozenset[str]) -> None:
    sums.add("daef_requeued_total", tally.amounts[0])


def _add_tickets(sums: Sums, tally: Tally, _kinds: frozenset[str]) -> None:
    sums.add("daef_tickets_total", tally.amounts[0], event=str(tally.labels[0]))


_ADDERS: Final = {
    "attempts": _add_attempts,
    "tasks": _add_tasks,
    "jobs": _add_jobs,
    "usage": _add_usage,
    "requeued": _add_requeued,
    "tickets": _add_tickets,
}
TALLIES: Final = frozenset(_ADDERS)
"""Names of tallies; a statement that inserts another one is a mistake."""


class ProcessCounts:
    """What this process has counted and not yet told: counters only ever grow, so none is lost."""

    def __init__(self, registry: Collector = REGISTRY) -> None:
        self._registry = registry
        self._told: dict[Series, float] = defaultdict(float)
        self._names: dict[tuple[str, ...], Series] = {}

    def untold(self) -> dict[Series, float]:
        """What came since it was last told, by series; series without news are left out."""
        return {
            key: value - self._told[key]
            for key, value in self._counted()
            if value > self._told[key]
        }

    def told(self, counts: Mapping[Series, float]) -> None:
        """Note that these were added to the sums."""
        for key, count in counts.items():
            self._told[key] += count

    def _counted(self) -> Iterator[tuple[Series, float]]:
        for family in self._registry.collect():
            if family.type in GROWING and family.name.startswith(OURS):
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        yield self._key(sample.name, sample.labels), float(sample.value)

    def _key(self, name: str, labels: Mapping[str, str]) -> Series:
        """The sample's series; its labels are written once, not each second."""
        parts = (name, *labels.values())
        if parts not in self._names:
            self._names[parts] = series(name, labels)
        return self._names[parts]
