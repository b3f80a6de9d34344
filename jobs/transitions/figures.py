"""Tallies become sums, and minutes are kept and forgotten."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobs.metrics import MinuteKey, Series, Tally
from jobs.transitions.sql import columns, execute, fetch

# Adding need not survive a crash of Postgres: tallies taken and sums written come back together.
QUICKLY = "select set_config('synchronous_commit', 'off', true)"

# One process adds at a time, the others do not wait: whoever comes next takes what is there.
MY_TURN = "select pg_try_advisory_xact_lock(20264, 0)"

# Whoever deletes a tally adds it, in the same transaction: no second one can.
TAKE = """
delete from tally where ctid = any(array(
    select ctid from tally limit %(most)s for update skip locked))
returning name, labels, amounts, happened_at
"""

# In key order, so that processes that add at the same moment wait for each other and never in a
# circle.
ADD = """
insert into figure (name, labels, value)
select f.name, f.labels, f.value
from unnest(%(name)s::text[], %(labels)s::text[], %(value)s::float[]) as f(name, labels, value)
order by f.name, f.labels
on conflict (name, labels) do update set value = figure.value + excluded.value
"""

ADD_MINUTES = """
insert into minute_stats (minute, pool_id, priority, outcome, code, attempts, input_tokens,
    output_tokens, cost_nano_usd)
select m.* from unnest(%(minute)s::timestamptz[], %(pool_id)s::int[], %(priority)s::int[],
    %(outcome)s::text[], %(code)s::text[], %(attempts)s::bigint[], %(input_tokens)s::bigint[],
    %(output_tokens)s::bigint[], %(cost_nano_usd)s::bigint[])
    as m(minute, pool_id, priority, outcome, code, attempts, input_tokens, output_tokens, cost)
order by m.minute, m.pool_id, m.priority, m.outcome, m.code
on conflict (minute, pool_id, priority, outcome, code) do update set
    attempts = minute_stats.attempts + excluded.attempts,
    input_tokens = least(minute_stats.input_tokens::numeric + excluded.input_tokens, %(most)s),
    output_tokens = least(minute_stats.output_tokens::numeric + excluded.output_tokens, %(most)s),
    cost_nano_usd = least(minute_stats.cost_nano_usd::numeric + excluded.cost_nano_usd, %(most)s)
"""

NOTE_LOAD = """
insert into minute_load (minute, pool_id, priority, queued, running, oldest_seconds)
select date_trunc('minute', clock_timestamp(), 'UTC'), l.* from unnest(%(pool_id)s::int[],
    %(priority)s::int[], %(queued)s::bigint[], %(running)s::bigint[], %(oldest_seconds)s::float[])
    as l(pool_id, priority, queued, running, oldest_seconds)
order by l.pool_id, l.priority
on conflict (minute, pool_id, priority) do update set
    queued = greatest(minute_load.queued, excluded.queued),
    running = greatest(minute_load.running, excluded.running),
    oldest_seconds = greatest(minute_load.oldest_seconds, excluded.oldest_seconds)
"""

# What the stages count, less what the sums and tallies say, in one snapshot: each transaction
# changes both or none, so that work under way makes no difference. The difference is tallied.
RECOUNT = """
with truth as (
    select j.pool_id::text as pool, j.priority::text as priority, s.status, sum(s.n) as n
    from job_stage t join job j on j.id = t.job_id cross join lateral (values ('open', t.open),
        ('Blocked', t.blocked), ('Succeeded', t.succeeded), ('DeadLettered', t.dead_lettered),
        ('Cancelled', t.cancelled)) s(status, n)
    group by 1, 2, 3
    union all
    select f.labels::json ->> 'pool', f.labels::json ->> 'priority', f.labels::json ->> 'status',
        -f.value::bigint from figure f where f.name = 'pool_tasks'
    union all
    select t.labels[1], t.labels[2], s.status, -t.amounts[s.place]
    from tally t cross join unnest(array['open', 'Blocked', 'Succeeded', 'DeadLettered',
        'Cancelled']) with ordinality as s(status, place) where t.name = 'tasks'
), missing as (
    select pool, priority, status, sum(n)::bigint as n from truth
    group by pool, priority, status having sum(n) <> 0
)
insert into tally (name, labels, amounts, happened_at)
select 'tasks', array[pool, priority], array[
    coalesce(sum(n) filter (where status = 'open'), 0),
    coalesce(sum(n) filter (where status = 'Blocked'), 0),
    coalesce(sum(n) filter (where status = 'Succeeded'), 0),
    coalesce(sum(n) filter (where status = 'DeadLettered'), 0),
    coalesce(sum(n) filter (where status = 'Cancelled'), 0)]::bigint[], clock_timestamp()
from missing group by pool, priority
returning labels[1]
"""


LARGEST = 2**63 - 1
"""PostgreSQL's largest bigint."""


class LoadRow(NamedTuple):
    """What waits and runs in a pool and class at the moment."""

    pool_id: int
    priority: int
    queued: int
    running: int
    oldest_seconds: float


def my_turn() -> bool:
    """Whether this transaction may add; it holds the turn until it ends."""
    fetch(QUICKLY)
    return bool(fetch(MY_TURN)[0][0])


def take_tallies(*, most: int) -> list[Tally]:
    """Take up to ``most`` tallies away."""
    return [Tally(*row) for row in fetch(TAKE, {"most": most})]


def recount_tasks() -> int:
    """Tally what the sums of tasks lack; returns in how many pools and classes. Ask ``my_turn``."""
    return len(fetch(RECOUNT))


def add_sums(sums: Mapping[Series, float]) -> None:
    """Add to the figures."""
    if sums:
        fetch(QUICKLY)
        names, labels = zip(*sums, strict=True)
        parameters = {"name": list(names), "labels": list(labels), "value": list(sums.values())}
        execute(ADD, parameters)


def add_minutes(minutes: Mapping[MinuteKey, Sequence[int]]) -> None:
    """Add to the minutes' counts: attempts, input tokens, output tokens, nano-USD.

    A sum that does not fit stays at the largest that does: one worker's nonsense must not keep
    the figures of all others from being added.
    """
    if minutes:
        fields = ("attempts", "input_tokens", "output_tokens", "cost_nano_usd")
        bounded = [[min(amount, LARGEST) for amount in amounts] for amounts in minutes.values()]
        counts = dict(zip(fields, map(list, zip(*bounded, strict=True)), strict=True))
        keys = columns(list(minutes), MinuteKey._fields)
        execute(ADD_MINUTES, {**keys, **counts, "most": LARGEST})


def note_load(rows: Sequence[LoadRow]) -> None:
    """Keep the most of this minute; to be told the same twice changes nothing."""
    if rows:
        fetch(QUICKLY)
        execute(NOTE_LOAD, columns(rows, LoadRow._fields))


def forget_minutes(*, days: int) -> int:
    """Delete minutes that are older; returns how many rows."""
    return sum(
        execute(f"delete from {table} where minute < now() - make_interval(days => %s)", (days,))  # nosec B608
        for table in ("minute_stats", "minute_load")
    )
