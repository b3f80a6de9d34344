"""The claim rule: which ready tasks a worker gets, as ranges of task ids.

Priority classes come first, higher before lower. Within a class tenants take turns by start-time
fair queueing (Goyal, Vin, Cheng 1996): each has a start tag, its tokens served over its weight;
the lowest goes first. Within a tenant the older job finishes first, which the order of task ids
gives for free. A class whose oldest task waits beyond its bound gets one grant in ten.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.states import TASK_BITS

LAST = 2**63 - 1
UNLIMITED = 2**31 - 1
STARVED_SHARE = 10
"""One grant in this many goes to a class that waits beyond its bound."""


@dataclass(frozen=True, slots=True)
class Group:
    """Ready work of one tenant in one class that asks one capability of its worker."""

    capability: int
    priority: int
    tenant: int
    oldest_seconds: float
    served: float
    """The tenant's start tag in this class: expected tokens served, divided by its weight."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A job with a limit, and how many more tasks it may start."""

    job: int
    tenant: int
    priority: int
    room: int


@dataclass(frozen=True, slots=True)
class Pick:
    """Take up to ``limit`` ready tasks with ids from ``low`` up to, not including, ``high``.

    Over all picks no more than ``tenant_room`` tasks of the tenant, and of each single job in
    the range no more than ``job_room``.
    """

    capability: int
    priority: int
    tenant: int
    low: int
    high: int
    limit: int
    tenant_room: int
    job_room: int


def choose(
    groups: Sequence[Group],
    constraints: Sequence[Constraint],
    *,
    want: int,
    tenant_room: Mapping[int, int],
    bounds: Mapping[int, float],
    turn: int,
    expected_tokens: float,
    weights: Mapping[int, float],
) -> list[Pick]:
    """Picks in the order they are to be tried, for a statement that stops at ``want`` tasks.

    ``tenant_room`` says how many tasks a limited tenant may still start, ``bounds`` are seconds
    by priority, ``turn`` counts grants so far in the pool. Ranges may be short, so behind the fair
    shares each group is offered all of ``want`` again; a task that two picks name counts once.
    """
    by_place: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for limit in constraints:
        rooms = by_place[limit.tenant, limit.priority]
        rooms[limit.job] = min(limit.room, rooms.get(limit.job, limit.room))
    picks: list[Pick] = []
    for group, count in _overdue(groups, want, bounds, turn, tenant_room):
        picks += _picks(group, count, by_place[group.tenant, group.priority], count)
    for priority in sorted({group.priority for group in groups}, reverse=True):
        members = [group for group in groups if group.priority == priority]
        for group, count in _grants(members, want, expected_tokens, weights):
            room = tenant_room.get(group.tenant, UNLIMITED)
            if room > 0:
                picks += _picks(group, count, by_place[group.tenant, priority], room)
    return picks


def _overdue(
    groups: Sequence[Group],
    want: int,
    bounds: Mapping[int, float],
    turn: int,
    tenant_room: Mapping[int, int],
) -> Iterator[tuple[Group, int]]:
    """A tenth for each lower class that waits beyond its bound; counts are per tenant.

    Its tenants take these grants in rotation and not by served time, so that one whose jobs may
    all start nothing does not hold up the others.
    """
    priorities = sorted({group.priority for group in groups}, reverse=True)
    for place, priority in enumerate(priorities[1:]):
        # Half a round apart, so that claims of one task serve both classes.
        start = turn + place * STARVED_SHARE // 2
        due = (start + want) // STARVED_SHARE - start // STARVED_SHARE
        members = [group for group in groups if group.priority == priority]
        oldest = max(group.oldest_seconds for group in members)
        if due > 0 and oldest > bounds.get(priority, float("inf")):
            counts = _rotated(members, due, turn // STARVED_SHARE, tenant_room)
            for tenant, count in counts.items():
                yield from ((group, count) for group in members if group.tenant == tenant)


def _rotated(
    members: Sequence[Group], due: int, first: int, tenant_room: Mapping[int, int]
) -> Mapping[int, int]:
    rooms = {each.tenant: tenant_room.get(each.tenant, UNLIMITED) for each in members}
    tenants = sorted(tenant for tenant, room in rooms.items() if room > 0)
    counts: dict[int, int] = defaultdict(int)
    for place in range(first, first + due):
        if tenants:
            tenant = tenants[place % len(tenants)]
            counts[tenant] = min(counts[tenant] + 1, rooms[tenant])
    return counts


def _grants(
    groups: Sequence[Group], share: int, expected_tokens: float, weights: Mapping[int, float]
) -> list[tuple[Group, int]]:
    """Fair counts that sum to ``share``, then ``share`` again for each group in order.

    A tenant's fair count goes to the group whose work is oldest; every group of its own would
    multiply the share of a tenant with many kinds of work.
    """
    by_tenant: dict[int, list[Group]] = defaultdict(list)
    for group in sorted(groups, key=lambda group: -group.oldest_seconds):
        by_tenant[group.tenant].append(group)
    heap = [(members[0].served, tenant) for tenant, members in by_tenant.items()]
    heapq.heapify(heap)
    order = [tenant for _, tenant in sorted(heap)]
    counts: dict[int, int] = defaultdict(int)
    if len(order) > 1:
        for _ in range(share):
            served, tenant = heap[0]
            counts[tenant] += 1
            cost = expected_tokens / weights.get(tenant, 1.0)
            heapq.heapreplace(heap, (served + cost, tenant))
    fair = [(by_tenant[tenant][0], counts[tenant]) for tenant in order]
    rest = [(group, share) for tenant in order for group in by_tenant[tenant]]
    return [(group, count) for group, count in fair if count] + rest


def _picks(group: Group, count: int, rooms: Mapping[int, int], tenant_room: int) -> Iterator[Pick]:
    """The group's range, cut round its constrained jobs; older jobs first."""

    def pick(low: int, high: int, job_room: int) -> Iterator[Pick]:
        limit = min(count, tenant_room, job_room)
        if limit > 0 and low < high:
            yield Pick(
                group.capability,
                group.priority,
                group.tenant,
                low,
                high,
                limit,
                tenant_room,
                job_room,
            )

    low = 0
    for job in sorted(rooms):
        first, behind = job << TASK_BITS, (job + 1) << TASK_BITS
        yield from pick(low, first, UNLIMITED)
        yield from pick(first, behind, rooms[job])
        low = behind
    yield from pick(low, LAST, UNLIMITED)
