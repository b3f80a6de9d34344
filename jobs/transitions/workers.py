"""Workers' rows and the renewal of their leases."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobs.transitions.sql import execute, fetch, integers

# A worker's number owns leases, and agents outlive a database that is restored from a backup: the
# numbers of the time after it must never be given out again. So they follow the clock, which does
# not go back with it: milliseconds since 2026, or one more than the newest.
LOCK_REGISTRATION = "select pg_advisory_xact_lock(20263, 0)"

INSERT_WORKER = """
insert into worker (id, incarnation, token_fingerprint, tenant_id, name, node, pool_id, slots,
    free_slots, kinds, model_names, version, state, registered_at, heartbeat_at)
values (greatest((select coalesce(max(id), 0) + 1 from worker),
        floor(extract(epoch from clock_timestamp() - timestamptz '2026-01-01 00:00Z') * 1000)),
    %(incarnation)s, %(token_fingerprint)s, %(tenant)s, %(name)s, %(node)s, %(pool)s,
    %(slots)s, %(slots)s, %(kinds)s::text[], %(models)s::text[], %(version)s, 'Active', now(),
    now())
on conflict (incarnation) do nothing
returning id
"""

# A lease that merely ran late and was not reaped yet may go on, none beyond its close. Only the
# database's clock decides.
RENEW = """
update lease set expires_at =
    least(clock_timestamp() + make_interval(secs => %(lease_seconds)s), close_at)
where owner = %(owner)s
returning task_ids, extract(epoch from clock_timestamp() - granted_at)::float
"""

# The agent says how many tickets it has taken in all, so that a heartbeat that is sent twice adds
# nothing twice.
BEAT = """
with o as (
    select id, tickets_taken from worker where id = %(worker)s and state <> 'Gone' for update
), u as (
    update worker w set heartbeat_at = clock_timestamp(), free_slots = %(free_slots)s,
        tickets_taken = greatest(o.tickets_taken, %(tickets_taken)s)
    from o where w.id = o.id
    returning w.state, w.tickets_taken - o.tickets_taken as more
), y as (
    insert into tally (name, labels, amounts, happened_at)
    select 'tickets', array['taken'], array[u.more], clock_timestamp() from u where u.more > 0
)
select state from u
"""


class RenewedLease(NamedTuple):
    """A lease that was renewed, and its age."""

    task_ids: list[int]
    age_seconds: float


def insert_worker(registration: Any, *, pool: int, models: Sequence[str]) -> int | None:
    """The id of the new incarnation's row; None when the incarnation is taken.

    Locks registrations until the transaction ends.
    """
    fetch(LOCK_REGISTRATION)
    rows = fetch(
        INSERT_WORKER,
        {
            "incarnation": registration.incarnation,
            "token_fingerprint": registration.token_fingerprint,
            "tenant": registration.tenant,
            "name": registration.name,
            "node": registration.node,
            "pool": pool,
            "slots": registration.slots,
            "kinds": list(registration.kinds),
            "models": list(models),
            "version": registration.version,
        },
    )
    return rows[0][0] if rows else None


def beat(worker: int, *, free_slots: int, tickets_taken: int) -> str | None:
    """Note that the worker lives; returns its state, None when it is gone."""
    parameters = {"worker": worker, "free_slots": free_slots, "tickets_taken": tickets_taken}
    rows = fetch(BEAT, parameters)
    return rows[0][0] if rows else None


def renew_leases(owner: int, *, lease_seconds: float) -> list[RenewedLease]:
    """Extend all leases of a worker, none beyond its start-to-close."""
    rows = fetch(RENEW, {"owner": owner, "lease_seconds": lease_seconds})
    return [RenewedLease(*row) for row in rows]


def shares_held(owner: int, tasks: Sequence[int]) -> set[tuple[int, int]]:
    """Which of these tasks the worker holds, with their epochs."""
    if not tasks:
        return set()
    statement = (
        "select id, epoch from task where id = any(%s::bigint[]) and owner = %s "
        "and status = 'Running'"
    )
    return {(task, epoch) for task, epoch in fetch(statement, (integers(tasks), owner))}


def leased_tasks(owner: int) -> list[int]:
    """All tasks under leases of this worker."""
    rows = fetch("select unnest(task_ids) from lease where owner = %s", (owner,))
    return [task for (task,) in rows]


def set_gone(worker: int) -> None:
    """End an incarnation; it can never come back."""
    execute("update worker set state = 'Gone', free_slots = 0 where id = %s", (worker,))


def drain(worker: int) -> bool:
    """Let an active worker take no more; False when it drains already, has left or never was."""
    statement = "update worker set state = 'Draining' where id = %s and state = 'Active'"
    return execute(statement, (worker,)) == 1


def state_of(worker: int) -> str | None:
    """A worker's stored state; None where there is no such worker."""
    rows = fetch("select state from worker where id = %s", (worker,))
    return rows[0][0] if rows else None


def forget_silent(silent_seconds: float) -> int:
    """Mark workers that were silent for long and hold nothing as gone; returns how many."""
    return execute(
        "update worker set state = 'Gone', free_slots = 0 where state <> 'Gone' "
        "and heartbeat_at < clock_timestamp() - make_interval(secs => %s) "
        "and not exists (select 1 from lease where lease.owner = worker.id)",
        (silent_seconds,),
    )
