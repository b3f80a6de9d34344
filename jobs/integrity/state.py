"""Rules over what is: queue, leases, dependencies, counters, budgets."""

from jobs.integrity.invariant import Invariant

STATE = (
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
        "parked_suspended",
        "Only tasks of suspended jobs are parked without a date.",
        """select d.task_id from delayed d join job j on j.id = d.task_id >> 20
        where d.due_at = 'infinity' and j.suspended_at is null""",
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
        "children_counted",
        "A task knows how many tasks wait for it; none does once what spawned it is to run again.",
        """select t.id from task t left join (
            select parent_id, count(*) as n from edge group by parent_id) e on e.parent_id = t.id
        where t.fanout <> coalesce(e.n, 0) and not (e.n is null and exists (
            select 1 from task_input i where i.task_id = t.id
                and right(i.name, length('~' || t.id)) = '~' || t.id))""",
    ),
    Invariant(
        "dead_letters_listed",
        "Dead letters are the dead-lettered tasks, each under its own job, tenant, kind and code.",
        """select coalesce(t.id, d.task_id)
        from (select * from task where status = 'DeadLettered') t
            full join dead_letter d on d.task_id = t.id
        where t.id is null or d.task_id is null
            or (d.job_id, d.tenant_id, d.kind) <> (t.job_id, t.tenant_id, t.kind)
            or d.error_code <> coalesce(t.error_code, d.error_code)""",
    ),
    Invariant(
        "one_tenant",
        "A task is of its job's tenant and pool, and what it used is booked to that tenant.",
        """select t.id from task t left join job j on j.id = t.job_id and j.id = t.id >> 20
            and (j.tenant_id, j.pool_id) = (t.tenant_id, t.pool_id) where j.id is null
        union all
        select u.task_id from usage_entry u join task t on t.id = u.task_id
            where u.tenant_id <> t.tenant_id""",
    ),
    Invariant(
        "stages_counted",
        "Each task is in a stage, whose counters are its tasks' statuses, tokens and cost.",
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
        select coalesce(s.job_id, c.job_id) from job_stage s
            full join counted c on c.job_id = s.job_id and c.stage = s.stage
        where s.job_id is null
            or (s.open, s.blocked, s.succeeded, s.dead_lettered, s.cancelled, s.input_tokens,
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
        "pools_counted",
        "The sums of a pool's tasks, with what is still to be added, are the tasks' statuses.",
        """with sums as (
            select labels::json ->> 'pool' as pool, labels::json ->> 'priority' as priority,
                labels::json ->> 'status' as status, value as n
            from figure where name = 'pool_tasks'
            union all
            select t.labels[1], t.labels[2], s.status, t.amounts[s.place]
            from tally t, unnest(array['open', 'Blocked', 'Succeeded', 'DeadLettered',
                'Cancelled']) with ordinality as s(status, place) where t.name = 'tasks'
            union all
            select pool_id::text, priority::text, s.status, -count(*)
            from task t join unnest(array['open', 'open', 'open', 'Blocked', 'Succeeded',
                    'DeadLettered', 'Cancelled'],
                array['Blocked', 'Queued', 'Running', 'Blocked', 'Succeeded', 'DeadLettered',
                    'Cancelled']) as s(status, of) on s.of = t.status group by 1, 2, 3)
        select pool || '/' || priority || '/' || status from sums
        group by pool, priority, status having sum(n) <> 0""",
    ),
    Invariant(
        "parallelism_kept",
        "No job runs more tasks than its parallelism.",
        """select j.id from job j where j.max_parallelism is not null and j.max_parallelism < (
            select coalesce(sum(cardinality(l.task_ids)), 0) from lease l
            where l.job_id = j.id)""",
    ),
    Invariant(
        "leases_match",
        "A lease is of one job, tenant and pool, and so are its tasks, of which it has some.",
        """select l.id from lease l, unnest(l.task_ids) as x(id) join task t on t.id = x.id
        where (t.job_id, t.tenant_id, t.pool_id) <> (l.job_id, l.tenant_id, l.pool_id)
        union all
        select l.id from lease l where cardinality(l.task_ids) = 0""",
    ),
    Invariant(
        "inputs_kept",
        "Every task has its input, under its own job.",
        """select t.id from task t left join task_input i
            on i.task_id = t.id and i.job_id = t.job_id where i.task_id is null""",
    ),
    Invariant(
        "artifacts_whole",
        "Results that are artifacts, and files, are in their tenant's artifacts; an artifact has "
        "all its bytes, and they are those of its SHA-256.",
        """select 'task ' || t.id from task t left join artifact a
            on a.tenant_id = t.tenant_id and a.sha256 = t.result_sha256
        where t.result_sha256 is not null and a.sha256 is null
        union all
        select 'file ' || f.id from file f left join artifact a
            on a.tenant_id = f.tenant_id and a.sha256 = f.sha256 where a.sha256 is null
        union all
        select 'artifact ' || a.sha256 from artifact a cross join lateral (
            select coalesce(string_agg(c.data, '' order by c.number), '') as data
            from artifact_chunk c where c.tenant_id = a.tenant_id and c.sha256 = a.sha256) b
        where octet_length(b.data) <> a.size_bytes or encode(sha256(b.data), 'hex') <> a.sha256""",
    ),
    Invariant(
        "keys_name_jobs",
        "An Idempotency-Key names a job of its tenant.",
        """select k.job_id from idempotency_record k left join job j
            on j.id = k.job_id and j.tenant_id = k.tenant_id where j.id is null""",
    ),
)
