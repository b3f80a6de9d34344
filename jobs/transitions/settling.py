"""Lease shares end: one guarded statement for success, failure, release, loss, timeout and cancel.

The guard is the fence: the share's epoch, its owner and ``Running``. A row that does not match
is not touched, and the caller learns of it by its absence.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.metrics import RUN_EDGES, WAIT_EDGES
from jobs.policies import causes
from jobs.states import TaskStatus
from jobs.transitions.sql import columns, fetch, integers

UNKNOWN = "unknown"
"""The code of a dead letter whose worker named none."""

# Negated and turned round: the count of edges that a value does not pass, which is what "le" asks.
HISTOGRAMS = {
    "wait_edges": [-edge for edge in reversed(WAIT_EDGES)],
    "run_edges": [-edge for edge in reversed(RUN_EDGES)],
}

# The task is found by its row address, looked up by key: steady whatever the planner believes of
# the table's size. Everything else hangs on the rows that passed the fence. Settled tasks leave
# their lease, and an empty lease leaves the table: whether it is empty is asked under its lock,
# since others may settle what else it holds at this moment.
END_SHARES = f"""
with o as materialized (
    select o.*, (select x.ctid from task x where x.id = o.id) as address,
        case when o.status = 'Queued' then (select x.queued_at from task x where x.id = o.id) end
            as queued_before
    from unnest(%(id)s::bigint[], %(epoch)s::int[], %(owner)s::bigint[], %(status)s::text[],
        %(outcome)s::text[], %(given_back)s::int[], %(delay_seconds)s::float[],
        %(result)s::text[], %(result_sha256)s::text[], %(error_code)s::text[],
        %(error_message)s::text[], %(input_tokens)s::bigint[], %(output_tokens)s::bigint[],
        %(cost_nano_usd)s::bigint[], %(workers_lost)s::int[], %(fingerprint)s::text[])
        as o(id, epoch, owner, status, outcome, given_back, delay_seconds, result, result_sha256,
            error_code, error_message, input_tokens, output_tokens, cost_nano_usd, workers_lost,
            fingerprint)
), t as (
    update task t set status = o.status, attempt = t.attempt - o.given_back, owner = null,
        result = o.result, result_sha256 = o.result_sha256, error_code = o.error_code,
        error_message = o.error_message, workers_lost = t.workers_lost + o.workers_lost,
        input_tokens = t.input_tokens + o.input_tokens,
        output_tokens = t.output_tokens + o.output_tokens,
        cost_nano_usd = t.cost_nano_usd + o.cost_nano_usd,
        queued_at = case when o.status = 'Queued'
            then now() + make_interval(secs => o.delay_seconds) else t.queued_at end,
        finished_at = case when o.status <> 'Queued' then clock_timestamp() end
    from o
    where t.ctid = o.address and t.id = o.id and t.epoch = o.epoch and t.owner = o.owner
        and t.status = 'Running'
    returning t.id, t.epoch, t.job_id, t.tenant_id, t.pool_id, t.priority, t.capability_id,
        t.stage, t.kind, t.generation, t.attempt + o.given_back as number, t.started_at, t.fanout,
        t.ceiling_nano_usd, t.status, o.owner, o.outcome, o.delay_seconds, o.error_code,
        o.error_message, o.input_tokens, o.output_tokens, o.cost_nano_usd, o.fingerprint,
        extract(epoch from t.started_at - coalesce(o.queued_before, t.queued_at))::float as waited,
        extract(epoch from clock_timestamp() - t.started_at)::float as ran
), a as (
    insert into attempt (task_id, epoch, generation, number, owner, started_at, finished_at,
        outcome, error_code, error_message, input_tokens, output_tokens, cost_nano_usd)
    select t.id, t.epoch, t.generation, t.number, t.owner, t.started_at, clock_timestamp(),
        t.outcome, t.error_code, t.error_message, t.input_tokens, t.output_tokens, t.cost_nano_usd
    from t
), r as (
    insert into ready (pool_id, capability_id, priority, tenant_id, task_id)
    select t.pool_id, t.capability_id, t.priority, t.tenant_id, t.id from t
    where t.status = 'Queued' and t.delay_seconds <= 0
), d as (
    insert into delayed (task_id, due_at)
    select t.id, now() + make_interval(secs => t.delay_seconds) from t
    where t.status = 'Queued' and t.delay_seconds > 0
), dl as (
    insert into dead_letter (task_id, job_id, tenant_id, kind, error_code, error_message,
        fingerprint, buried_at)
    select t.id, t.job_id, t.tenant_id, t.kind, coalesce(t.error_code, '{UNKNOWN}'),
        coalesce(t.error_message, ''), t.fingerprint, clock_timestamp()
    from t where t.status = 'DeadLettered'
), k as materialized (
    select l.id, l.task_ids <@ array(select t.id from t) as done from lease l
    where l.owner = any(%(owners)s::bigint[]) and l.task_ids && array(select t.id from t)
    order by l.id for update
), lu as (
    update lease l set task_ids = array(
        select x from unnest(l.task_ids) x where x <> all(array(select t.id from t)) order by x)
    from k where l.id = k.id and not k.done
), ld as (
    delete from lease l using k where l.id = k.id and k.done
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'attempts', array[g.pool_id::text, g.priority::text, g.kind, g.outcome, g.code,
            g.wait_edges::text, g.run_edges::text],
        array[g.attempts, g.waited, g.ran, g.input_tokens, g.output_tokens, g.cost]::bigint[],
        clock_timestamp()
    from (
        select t.pool_id, t.priority, t.kind, t.outcome, coalesce(t.error_code, '') as code,
            width_bucket(-t.waited, %(wait_edges)s::float[]) as wait_edges,
            case when t.outcome in ('Succeeded', 'Failed')
                then width_bucket(-t.ran, %(run_edges)s::float[]) end as run_edges,
            count(*) as attempts, sum(greatest(t.waited, 0)) * 1e6 as waited,
            sum(greatest(t.ran, 0)) * 1e6 as ran, sum(t.input_tokens) as input_tokens,
            sum(t.output_tokens) as output_tokens, sum(t.cost_nano_usd) as cost
        from t group by 1, 2, 3, 4, 5, 6, 7) g
)
select t.id, t.epoch, t.owner, t.job_id, t.tenant_id, t.stage, t.status, t.outcome, t.fanout,
    t.ceiling_nano_usd, t.input_tokens, t.output_tokens, t.cost_nano_usd
from t
"""  # nosec B608

# Only what was booked is tallied: a call reported twice counts once. The models of the fabric's
# endpoints are a closed set; what else an agent names is not.
INSERT_USAGE = """
with i as (
    insert into usage_entry (task_id, epoch, call, tenant_id, endpoint, model, input_tokens,
        output_tokens, cost_nano_usd, wasted, recorded_at)
    select u.task_id, u.epoch, u.call, t.tenant_id, u.endpoint, u.model, u.input_tokens,
        u.output_tokens, u.cost_nano_usd, u.wasted, clock_timestamp()
    from unnest(%(task_id)s::bigint[], %(epoch)s::int[], %(call)s::int[], %(endpoint)s::text[],
        %(model)s::text[], %(input_tokens)s::bigint[], %(output_tokens)s::bigint[],
        %(cost_nano_usd)s::bigint[], %(wasted)s::bool[]) as u(task_id, epoch, call, endpoint,
        model, input_tokens, output_tokens, cost_nano_usd, wasted)
    join task t on t.id = u.task_id
    on conflict do nothing
    returning model, input_tokens, output_tokens, cost_nano_usd
)
insert into tally (name, labels, amounts, happened_at)
select 'usage', array[m.model], array[sum(i.input_tokens), sum(i.output_tokens),
    sum(i.cost_nano_usd)]::bigint[], clock_timestamp()
from i cross join lateral (select case when exists (
    select 1 from model_endpoint e where i.model = any(e.model_names)) then i.model else 'other'
    end as model) m
group by m.model
"""

DECISION_FACTS = """
select t.id, t.epoch, t.attempt, t.max_attempts,
    extract(epoch from clock_timestamp() - t.created_at)::float, j.schedule_to_close_seconds
from task t join job j on j.id = t.job_id
where t.id = any(%s::bigint[])
"""


class ShareEnd(NamedTuple):
    """How one lease share ends. ``delay_seconds`` counts where the task is queued again."""

    id: int
    epoch: int
    owner: int
    status: str
    outcome: str
    given_back: int = 0
    delay_seconds: float = 0.0
    result: str | None = None
    result_sha256: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    workers_lost: int = 0
    fingerprint: str = ""


class EndedShare(NamedTuple):
    """A share that passed the fence, with what its job's counters need."""

    id: int
    epoch: int
    owner: int
    job_id: int
    tenant_id: int
    stage: int
    status: str
    outcome: str
    fanout: int
    ceiling_nano_usd: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int


class UsageRow(NamedTuple):
    """One model call of a share."""

    task_id: int
    epoch: int
    call: int
    endpoint: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    wasted: bool


class DecisionFacts(NamedTuple):
    """What the retry rule asks of a running task; stable for as long as its share is held."""

    attempt: int
    max_attempts: int
    age_seconds: float
    schedule_to_close_seconds: float | None


class RecordedShare(NamedTuple):
    """Who held a share that has ended, and whether its holder settled it.

    Shares that were lost or cancelled are on record too, but nobody settled them.
    """

    owner: int
    settled: bool


def end_shares(shares: Sequence[ShareEnd]) -> list[EndedShare]:
    """End these shares where they are still held; the others are missing from the answer."""
    ordered = sorted(map(_marked, shares))
    parameters = columns(ordered, ShareEnd._fields)
    parameters["owners"] = integers(sorted({share.owner for share in ordered}))
    parameters |= HISTOGRAMS
    return list(map(EndedShare._make, fetch(END_SHARES, parameters)))


def _marked(share: ShareEnd) -> ShareEnd:
    """A dead letter's share with the fingerprint of its cause."""
    if share.status != TaskStatus.DEAD_LETTERED:
        return share
    cause = causes.fingerprint(share.error_code or UNKNOWN, share.error_message or "")
    return share._replace(fingerprint=cause)


def record_usage(rows: Sequence[UsageRow]) -> None:
    """Append model calls to the ledger; a call that is there already stays as it is."""
    if rows:
        fetch(INSERT_USAGE, columns(rows, UsageRow._fields))


def decision_facts(tasks: Sequence[int]) -> dict[tuple[int, int], DecisionFacts]:
    """The retry rule's facts by ``(task, epoch)``."""
    rows = fetch(DECISION_FACTS, (integers(tasks),))
    return {(task, epoch): DecisionFacts(*facts) for task, epoch, *facts in rows}


def recorded_shares(shares: Sequence[tuple[int, int]]) -> dict[tuple[int, int], RecordedShare]:
    """Which of these ``(task, epoch)`` shares have ended, and who held them."""
    rows = fetch(
        "select task_id, epoch, owner, outcome not in ('Lost', 'Cancelled') from attempt "
        "where (task_id, epoch) in (select * from unnest(%s::bigint[], %s::int[]))",
        (integers(task for task, _ in shares), integers(epoch for _, epoch in shares)),
    )
    return {(task, epoch): RecordedShare(*record) for task, epoch, *record in rows}
