"""Rules over what has happened: claims, attempts, results, money, operators' actions."""

from jobs.integrity.invariant import Invariant

HISTORY = (
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
        "event_order",
        "A task is claimed, then its share ends once, before it is claimed again.",
        """with moves as (
            select x.id, e.id as event, e.kind = 'claimed' as claim
            from job_event e, unnest(e.task_ids) as x(id) where e.kind in
                ('claimed', 'settled', 'lease_lost', 'released', 'tasks_cancelled')
        ), steps as (
            select id, claim, lag(claim) over one as before, lead(claim) over one as next
            from moves window one as (partition by id order by event))
        select id from steps where claim = coalesce(before, false)
        union all
        select s.id from steps s join task t on t.id = s.id
        where s.next is null and s.claim <> (t.status = 'Running')""",
    ),
    Invariant(
        "attempts_numbered",
        "Attempts of a generation count 1, 2, 3 … up to the task's bound; only one that was "
        "released or failed may give its number back.",
        """select task_id from (
            select a.task_id, a.number, t.max_attempts,
                coalesce(lag(a.number) over one, 0) as before,
                lag(a.outcome) over one in ('Released', 'Failed') as may_give_back
            from attempt a join task t on t.id = a.task_id
            window one as (partition by a.task_id, a.generation order by a.epoch)) x
        where number > max_attempts
            or number <> before + 1 and not (number = before and may_give_back)""",
    ),
    Invariant(
        "attempts_counted",
        "A task has used as many attempts as its last one says, or one less where that one gave "
        "its own back; a running one has one more.",
        """with last as (
            select distinct on (task_id, generation) task_id, generation, number,
                (outcome in ('Released', 'Failed'))::int as given
            from attempt order by task_id, generation, epoch desc)
        select t.id from task t left join last
            on last.task_id = t.id and last.generation = t.generation
        where t.attempt - (t.status = 'Running')::int not between
            coalesce(last.number - last.given, 0) and coalesce(last.number, 0)""",
    ),
    Invariant(
        "ended_by_its_claimer",
        "A share ends as that of the worker which claimed it.",
        """with claims as (
            select x.id, e.actor, row_number() over (partition by x.id order by e.id) as n
            from job_event e, unnest(e.task_ids) as x(id) where e.kind = 'claimed'
        ), ends as (
            select a.task_id, w.name,
                row_number() over (partition by a.task_id order by a.epoch) as n
            from attempt a left join worker w on w.id = a.owner)
        select claims.id from claims join ends on ends.task_id = claims.id and ends.n = claims.n
        where ends.name <> claims.actor""",
    ),
    Invariant(
        "parallelism_kept_always",
        "At no moment did a job run more tasks than its parallelism.",
        """with shares as (
            select t.job_id, a.started_at, a.finished_at
            from attempt a join task t on t.id = a.task_id
            union all
            select t.job_id, t.started_at, null from task t where t.status = 'Running'
        ), moves as (
            select job_id, started_at as at, 1 as step from shares
            union all select job_id, finished_at, -1 from shares where finished_at is not null
        ), levels as (
            select m.job_id, j.max_parallelism,
                sum(m.step) over (partition by m.job_id order by m.at, m.step) as running
            from moves m join job j on j.id = m.job_id where j.max_parallelism is not null)
        select distinct job_id from levels where running > max_parallelism""",
    ),
    Invariant(
        "budget_kept_always",
        "At no moment had a job reserved and spent more than its budget.",
        """with shares as (
            select t.job_id, t.ceiling_nano_usd as ceiling, a.started_at, a.finished_at,
                least(a.cost_nano_usd, t.ceiling_nano_usd) as spent
            from attempt a join task t on t.id = a.task_id where t.ceiling_nano_usd > 0
            union all
            select t.job_id, t.ceiling_nano_usd, t.started_at, null, 0
            from task t where t.status = 'Running' and t.ceiling_nano_usd > 0
        ), moves as (
            select job_id, started_at as at, ceiling as step from shares
            union all select job_id, finished_at, spent - ceiling from shares
                where finished_at is not null
        ), levels as (
            select m.job_id, j.limit_nano_usd,
                sum(m.step) over (partition by m.job_id order by m.at, m.step) as taken
            from moves m join job j on j.id = m.job_id where j.limit_nano_usd is not null)
        select distinct job_id from levels where taken > limit_nano_usd""",
    ),
    Invariant(
        "budget_settled",
        "A budget has settled, and overrun, what the job's ended shares cost.",
        """with spent as (
            select t.job_id, sum(least(a.cost_nano_usd, t.ceiling_nano_usd)) as settled,
                sum(greatest(a.cost_nano_usd - t.ceiling_nano_usd, 0)) as overrun
            from attempt a join task t on t.id = a.task_id
            where t.ceiling_nano_usd > 0 group by t.job_id)
        select b.job_id from budget b join job j on j.id = b.job_id and j.generation = 1
            left join spent s on s.job_id = b.job_id
        where (b.settled_nano_usd, b.overrun_nano_usd)
            <> (coalesce(s.settled, 0), coalesce(s.overrun, 0))""",
    ),
    Invariant(
        "actions_recorded",
        "What the audit log says was done to a job is in its events, and what the local operator "
        "did is in the audit log.",
        """with words (action, kind) as (values ('job_cancel', 'cancel_requested'),
            ('job_suspend', 'suspended'), ('job_resume', 'resumed'), ('job_retry', 'retried')
        ), told as (
            select substr(a.target, 5)::bigint as job_id, left(a.actor, 100) as actor, w.kind,
                count(*) as n
            from audit_entry a join words w on w.action = a.action
            where a.result = 'ok' and a.target ~ '^job-[0-9]{1,18}$' group by 1, 2, 3
        ), done as (
            select e.job_id, e.actor, e.kind, count(*) as n
            from job_event e join words w on w.kind = e.kind group by 1, 2, 3)
        select j.id from told full join done using (job_id, actor, kind)
            join job j on j.id = job_id
        where coalesce(told.n, 0) > coalesce(done.n, 0)
            or actor in ('local', 'system') and told.n is distinct from done.n
                and not (kind = 'retried' and exists (select 1 from audit_entry a
                    where a.action = 'dead_letter_requeue' and left(a.actor, 100) = done.actor))""",
    ),
)
