"""The checker: every invariant of the tables as a query for what breaks it.

``manage.py verify`` runs it over a user's database, the fault tests over theirs. It reads in one
snapshot and may run beside work; on a sound database every query finds nothing.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from jobs.policies import outcome
from jobs.states import JOB_ENDS, JobStatus, Reason
from jobs.transitions.sql import fetch

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, and the statement whose rows break it (first column: what breaks it)."""

    name: str
    rule: str
    statement: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule with some of what breaks it."""

    name: str
    rule: str
    found: tuple[str, ...]


INVARIANTS = (
    Invariant(
        "queued_once",
        "A queued task stands in exactly one of ready and delayed.",
        """select t.id from task t where t.status = 'Queued' and
            (select count(*) from ready r where r.task_id = t.id)
            + (select count(*) from delayed d where d.task_id = t.id) <> 1""",
    ),
    Invariant(
        "only_queued_waits",
        "What stands in ready or delayed is queued, under its own pool, class and tenant.",
        """select r.task_id from ready r left join task t on t.id = r.task_id
            and (t.pool_id, t.capability_id, t.priority, t.tenant_id)
                = (r.pool_id, r.capability_id, r.priority, r.tenant_id)
            where t.status is distinct from 'Queued'
        union all
        select d.task_id from delayed d left join task t on t.id = d.task_id
            where t.status is distinct from 'Queued'""",
    ),
    Invariant(
        "running_leased",
        "A running task is in exactly one lease of its owner.",
        """with held as (select unnest(task_ids) as id, owner from lease)
        select t.id from task t where t.status = 'Running' and
            (select count(*) from held where held.id = t.id and held.owner = t.owner) <> 1""",
    ),
    Invariant(
        "leased_running",
        "A task in a lease runs, and its owner holds the lease.",
        """select x.id from (select unnest(task_ids) as id, owner from lease) x
        left join task t on t.id = x.id and t.owner = x.owner where t.id is null""",
    ),
    Invariant(
        "waiting_counted",
        "A blocked task waits for as many parents as have not ended.",
        """select t.id from task t where t.status = 'Blocked' and t.waiting <>
            (select count(*) from edge e join task p on p.id = e.parent_id
                where e.child_id = t.id and p.status in ('Blocked', 'Queued', 'Running'))""",
    ),
    Invariant(
        "ready_when_parents_ended",
        "A task that is queued, running or done has no parent that has not ended.",
        """select distinct t.id from task t join edge e on e.child_id = t.id
            join task p on p.id = e.parent_id
        where t.status in ('Queued', 'Running', 'Succeeded')
            and p.status in ('Blocked', 'Queued', 'Running')""",
    ),
    Invariant(
        "needs_kept",
        "A task that needs a parent runs only after the parent succeeded.",
        """select distinct t.id from task t join edge e on e.child_id = t.id and e.kind = 'needs'
            join task p on p.id = e.parent_id
        where t.status in ('Queued', 'Running', 'Succeeded', 'DeadLettered')
            and p.status <> 'Succeeded'""",
    ),
    Invariant(
        "one_attempt_an_epoch",
        "Each epoch of a task is an ended attempt, the running one, or a new generation.",
        """select t.id from task t where t.epoch <>
            (select count(*) from attempt a where a.task_id = t.id)
            + (t.status = 'Running')::int + t.generation - 1""",
    ),
    Invariant(
        "claimed_once_an_epoch",
        "Each attempt was claimed once, by an event of its job.",
        """with claims as (
            select x.id, count(*) as n from job_event e, unnest(e.task_ids) as x(id)
            where e.kind = 'claimed' group by x.id)
        select t.id from task t left join claims on claims.id = t.id
        where coalesce(claims.n, 0) <> t.epoch - (t.generation - 1)""",
    ),
    Invariant(
        "one_result",
        "At most one attempt of a generation succeeded, and a succeeded task has its result.",
        """select a.task_id from attempt a where a.outcome = 'Succeeded'
            group by a.task_id, a.generation having count(*) > 1
        union all
        select t.id from task t where t.status = 'Succeeded' and (
            (t.result is null and t.result_sha256 is null) or not exists (
                select 1 from attempt a where a.task_id = t.id and a.generation = t.generation
                    and a.outcome = 'Succeeded'))""",
    ),
    Invariant(
        "dead_letters_listed",
        "Dead letters are the dead-lettered tasks.",
        """select coalesce(t.id, d.task_id)
        from (select id from task where status = 'DeadLettered') t
            full join dead_letter d on d.task_id = t.id
        where t.id is null or d.task_id is null""",
    ),
    Invariant(
        "stages_counted",
        "A stage's counters are its tasks' statuses, tokens and cost.",
        """with counted as (
            select job_id, stage,
                count(*) filter (where status in ('Blocked', 'Queued', 'Running')) as open,
                count(*) filter (where status = 'Blocked') as blocked,
                count(*) filter (where status = 'Succeeded') as succeeded,
                count(*) filter (where status = 'DeadLettered') as dead_lettered,
                count(*) filter (where status = 'Cancelled') as cancelled,
                sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
                sum(cost_nano_usd) as cost
            from task group by job_id, stage)
        select s.job_id from job_stage s
            left join counted c on c.job_id = s.job_id and c.stage = s.stage
        where (s.open, s.blocked, s.succeeded, s.dead_lettered, s.cancelled, s.input_tokens,
                s.output_tokens, s.cost_nano_usd)
            <> (coalesce(c.open, 0), coalesce(c.blocked, 0), coalesce(c.succeeded, 0),
                coalesce(c.dead_lettered, 0), coalesce(c.cancelled, 0),
                coalesce(c.input_tokens, 0), coalesce(c.output_tokens, 0), coalesce(c.cost, 0))""",
    ),
    Invariant(
        "jobs_whole",
        "A job has as many tasks as it says.",
        """select j.id from job j where j.total_tasks <>
            (select count(*) from task t where t.id >= j.id << 20 and t.id < (j.id + 1) << 20)""",
    ),
    Invariant(
        "budgets_reserved",
        "A budget reserves the ceilings of the job's running tasks.",
        """select b.job_id from budget b where b.reserved_nano_usd <> (
            select coalesce(sum(greatest(t.ceiling_nano_usd, 0)), 0) from task t
            where t.id >= b.job_id << 20 and t.id < (b.job_id + 1) << 20
                and t.status = 'Running')""",
    ),
    Invariant(
        "usage_booked",
        "A task's tokens and cost are the sum of its entries in the ledger, wasted ones apart.",
        """select t.id from task t left join (
            select task_id, sum(input_tokens) as i, sum(output_tokens) as o,
                sum(cost_nano_usd) as c from usage_entry where not wasted group by task_id) u
            on u.task_id = t.id
        where (t.input_tokens, t.output_tokens, t.cost_nano_usd)
            <> (coalesce(u.i, 0), coalesce(u.o, 0), coalesce(u.c, 0))""",
    ),
    Invariant(
        "parallelism_kept",
        "No job runs more tasks than its parallelism.",
        """select j.id from job j where j.max_parallelism is not null and j.max_parallelism < (
            select coalesce(sum(cardinality(l.task_ids)), 0) from lease l
            where l.job_id = j.id)""",
    ),
)

# What decides a job's status, recomputed from its tasks.
JOB_FACTS = """
select j.id, j.status, j.reason, j.cancel_requested_at is not null, j.failed_reason,
    j.max_failed_percent, j.suspended_at is not null, j.started_at is not null,
    count(*) filter (where t.status in ('Blocked', 'Queued', 'Running')),
    count(*) filter (where t.status = 'Succeeded'),
    count(*) filter (where t.status = 'DeadLettered'),
    count(*) filter (where t.status = 'Cancelled'),
    bool_or(t.fanout = 0 and t.status = 'Succeeded')
from job j join task t on t.id >= j.id << 20 and t.id < (j.id + 1) << 20
group by j.id order by j.id
"""


def check_all() -> list[Violation]:
    """Every broken invariant; an empty list is a sound database.

    In one snapshot, or within the caller's transaction where there is one.
    """
    joined = connection.in_atomic_block
    with transaction.atomic():
        if not joined:
            fetch("set transaction isolation level repeatable read, read only")
        violations = [found for invariant in INVARIANTS if (found := _check(invariant))]
        wrong = _wrong_jobs()
    if wrong:
        rule = "A job's status and reason are a function of its tasks, limits and flags."
        violations.append(Violation("job_status", rule, tuple(wrong[:MOST_SHOWN])))
    return violations


def _check(invariant: Invariant) -> Violation | None:
    rows = fetch(f"select * from ({invariant.statement}) x limit {MOST_SHOWN}")  # nosec B608
    if not rows:
        return None
    return Violation(invariant.name, invariant.rule, tuple(str(row[0]) for row in rows))


def _wrong_jobs() -> list[str]:
    wrong = []
    for job, status, reason, *facts in fetch(JOB_FACTS):
        expected = _expected(*facts)
        ended = status in JOB_ENDS
        if status != expected[0] or (ended and reason != expected[1]):
            wrong.append(f"job-{job} is {status}/{reason}, expected {'/'.join(expected)}")
    return wrong


def _expected(
    cancel_requested: bool,
    failed_reason: str | None,
    max_failed_percent: float | None,
    suspended: bool,
    started: bool,
    open_tasks: int,
    succeeded: int,
    dead_lettered: int,
    cancelled: int,
    final_succeeded: bool,
) -> tuple[str, str]:
    if open_tasks:
        if suspended:
            return JobStatus.SUSPENDED, Reason.SUSPENDED
        return (JobStatus.RUNNING if started else JobStatus.PENDING), Reason.RUNNING
    status, reason, _ = outcome.job_end(
        total=succeeded + dead_lettered + cancelled,
        succeeded=succeeded,
        dead_lettered=dead_lettered,
        cancelled=cancelled,
        final_succeeded=final_succeeded,
        cancel_requested=cancel_requested,
        failed_reason=Reason(failed_reason) if failed_reason else None,
        max_failed_percent=max_failed_percent,
    )
    return status, reason
