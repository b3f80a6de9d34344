"""What the run's database has to say for itself, beyond the rules of ``manage.py verify``."""

from collections import Counter, defaultdict
from pathlib import Path

from tests.faults import foundation
from tests.faults.orders import POISON, Order
from tests.faults.verdict import Ask, Verdict, lines

POISON_KINDS = sorted({poison.kind for poison in POISON.values()})

# More tasks at once than allowed: a sweep over starts and ends in the order of time.
MOST_AT_ONCE = """
with moves as (
    select a.started_at as at, 1 as step from attempt a join task t on t.id = a.task_id
        where {which}
    union all
    select a.finished_at, -1 from attempt a join task t on t.id = a.task_id where {which}
)
select coalesce(max(running), 0)
from (select sum(step) over (order by at, step) as running from moves) levels
"""


def check_tables(verdict: Verdict, ask: Ask, data: Path, orders: dict[str, Order]) -> None:
    """Every task ended as it had to, every attempt is one that ran, every limit was kept."""
    _check_ends(verdict, ask, orders)
    _check_poison(verdict, ask)
    _check_attempts(verdict, ask)
    _check_executions(verdict, ask, data)
    _check_limits(verdict, ask)


def _check_ends(verdict: Verdict, ask: Ask, orders: dict[str, Order]) -> None:
    """What was neither cancelled nor hopeless nor too dear has succeeded."""
    excused = [key for key, order in orders.items() if order.cancel or order.poor]
    unhappy = ask(
        "select t.id, t.kind, t.status, t.error_code from task t join job j on j.id = t.job_id "
        "where t.status <> 'Succeeded' and not t.kind = any(%s) "
        "and not j.labels->>'key' = any(%s)",
        [*POISON_KINDS, "fail"],
        excused,
    )
    verdict.found("tasks that should have succeeded", unhappy)
    alive = ask(
        "select t.id, t.kind, t.status from task t where t.kind = any(%s) "
        "and t.status <> 'DeadLettered'",
        [*POISON_KINDS, "fail"],
    )
    verdict.found("hopeless tasks that are no dead letters", alive)
    poor = [key for key, order in orders.items() if order.poor]
    rich = ask(
        "select id, status, reason from job where labels->>'key' = any(%s) "
        "and (status, reason) <> ('Failed', 'BudgetExceeded')",
        poor,
    )
    verdict.found("jobs that spent more than they could", rich)
    wrong = ask(
        "select t.id, t.result, i.input from task t join task_input i on i.task_id = t.id "
        "where t.kind = 'witness' and t.status = 'Succeeded' "
        "and (t.result::jsonb->'value')::text <> i.input::jsonb::text"
    )
    verdict.found("results of another task", wrong)


def _check_poison(verdict: Verdict, ask: Ask) -> None:
    """It ran exactly as often as it may, in each generation that an operator gave it."""
    counts = ask(
        "select a.task_id, t.kind, a.generation, count(*), t.max_attempts from attempt a "
        "join task t on t.id = a.task_id where t.kind = any(%s) and a.outcome <> 'Released' "
        "group by a.task_id, t.kind, a.generation, t.max_attempts",
        POISON_KINDS,
    )
    verdict.found(
        "poison that ran too often or too seldom", [row for row in counts if row[3] != row[4]]
    )
    failed = ask(
        "select a.task_id, a.generation from attempt a join task t on t.id = a.task_id "
        "where t.kind = 'fail' group by a.task_id, a.generation "
        "having count(*) filter (where a.error_code = 'test_permanent') <> 1"
    )
    verdict.found("hopeless tasks that were tried again", failed)
    verdict.figures["poison tasks"] = len({task for task, *_ in counts})
    verdict.figures["generations of poison"] = len(counts)


def _check_attempts(verdict: Verdict, ask: Ask) -> None:
    """One success ends them, and the result is that success's own."""
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
    early = ask(
        "select task_id, epoch, finished_at - started_at from attempt "
        "where outcome = 'Lost' and error_code = 'worker_lost' "
        "and finished_at - started_at < make_interval(secs => %s)",
        verdict.figures["lease"] - 0.001,
    )
    verdict.found("shares lost before their lease ran out", early)
    outcomes: dict[str, int] = dict(ask("select outcome, count(*) from attempt group by outcome"))
    verdict.figures |= {
        "duplicated": len(duplicated),
        "stale": len(stale),
        "attempts": sum(outcomes.values()),
        "attempts lost": outcomes.get("Lost", 0),
        "attempts released": outcomes.get("Released", 0),
    }


def _check_executions(verdict: Verdict, ask: Ask, data: Path) -> None:
    """What ran was claimed, and ended as it says. Epochs may run twice: claims are not flushed."""
    said: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for line in lines(data / "executions.jsonl"):
        said[line["task"], line["epoch"]][line["said"]] += 1
    ended = {
        (task, epoch): (outcome, code)
        for task, epoch, outcome, code in ask(
            "select a.task_id, a.epoch, a.outcome, a.error_code from attempt a "
            "join task t on t.id = a.task_id and t.kind = 'witness'"
        )
    }
    wrong = [
        (key, *end)
        for key, end in ended.items()
        if (end[0] == "Succeeded" and not said[key]["succeeded"])
        or (end == ("Failed", "test_attempt") and not said[key]["failed"])
    ]
    verdict.found("attempts that did not end so", wrong)
    cancelled = {task for (task,) in ask("select id from task where status = 'Cancelled'")}
    unknown = [key for key in said if key not in ended and key[0] not in cancelled]
    verdict.found("runs of leases that never were", unknown)
    runs = Counter({key: counts["started"] for key, counts in said.items()})
    verdict.figures |= {
        "executions": runs.total(),
        "re-executions": runs.total() - len({task for task, _ in runs}),
        "epochs run twice": sum(count > 1 for count in runs.values()),
    }


def _check_limits(verdict: Verdict, ask: Ask) -> None:
    """The limits of tenant and pool, which never changed during the run, held at every moment."""
    limits = {
        "the small tenant": (
            f"t.tenant_id = (select id from tenant where name = '{foundation.SMALL_TENANT}')",
            foundation.SMALL_TENANT_LIMIT,
        ),
        "the solo pool": (
            f"t.pool_id = (select id from pool where name = '{foundation.SOLO_POOL}')",
            foundation.SOLO_POOL_LIMIT,
        ),
    }
    for name, (which, limit) in limits.items():
        most = int(ask(MOST_AT_ONCE.format(which=which))[0][0])
        verdict.figures[f"most at once of {name}"] = most
        if most > limit:
            verdict.problems.append(f"{name} ran {most} tasks at once, its limit is {limit}")
