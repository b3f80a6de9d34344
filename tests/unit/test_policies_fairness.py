"""The claim rule, tried against a model of the statement that applies its picks."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policies.fairness import Constraint, Group, choose
from jobs.states import PRIORITIES, task_id

BOUNDS = {100: 30.0, 0: 600.0, -50: 21_600.0}


class Queue:
    """Ready tasks as ``(capability, priority, tenant, id)`` and what each tenant was served."""

    def __init__(self, ready, ages=None, weights=None):
        self.ready = sorted(ready)
        self.ages = ages or {}
        self.weights = weights or {}
        self.served: Counter[tuple[int, int]] = Counter()
        self.turn = 0

    def claim(self, want, *, tenant_room=None, constraints=()):
        places = sorted({task[:3] for task in self.ready})
        groups = [
            Group(
                capability,
                priority,
                tenant,
                self.ages.get(priority, 0.0),
                self.served[priority, tenant],
            )
            for capability, priority, tenant in places
        ]
        picks = choose(
            groups,
            constraints,
            want=want,
            tenant_room=tenant_room or {},
            bounds=BOUNDS,
            turn=self.turn,
            expected_tokens=1.0,
            weights=self.weights,
        )
        taken = self._apply(picks, want)
        self.turn += len(taken)
        for _, priority, tenant, _ in taken:
            self.served[priority, tenant] += 1 / self.weights.get(tenant, 1.0)
        self.ready = [task for task in self.ready if task not in taken]
        return taken

    def _apply(self, picks, want):
        seen, taken = set(), []
        of_tenant: Counter[int] = Counter()
        of_job: Counter[int] = Counter()
        for pick in picks:
            place = (pick.capability, pick.priority, pick.tenant)
            range_ = [
                task for task in self.ready if task[:3] == place and pick.low <= task[3] < pick.high
            ]
            for task in range_[: pick.limit]:
                if task in seen:
                    continue
                seen.add(task)
                of_tenant[task[2]] += 1
                of_job[task[3] >> 20] += 1
                if (
                    of_tenant[task[2]] <= pick.tenant_room
                    and of_job[task[3] >> 20] <= pick.job_room
                ):
                    taken.append(task)
        return taken[:want]


def tasks(job, count, *, tenant=1, priority=0, capability=1):
    return [(capability, priority, tenant, task_id(job, n)) for n in range(1, count + 1)]


def tenants_of(taken):
    return Counter(task[2] for task in taken)


def jobs_of(taken):
    return [task[3] >> 20 for task in taken]


def test_an_empty_queue_gives_nothing():
    assert Queue([]).claim(5) == []


def test_an_older_job_of_a_tenant_finishes_first():
    assert jobs_of(Queue(tasks(2, 3) + tasks(1, 3)).claim(4)) == [1, 1, 1, 2]


def test_a_higher_priority_goes_first():
    ready = tasks(1, 5, priority=-50) + tasks(2, 5) + tasks(3, 5, priority=100)
    assert jobs_of(Queue(ready).claim(12)) == [3] * 5 + [2] * 5 + [1] * 2


def test_tenants_of_a_class_share_a_claim_equally():
    queue = Queue(tasks(1, 100, tenant=1) + tasks(2, 100, tenant=2))
    assert tenants_of(queue.claim(10)) == {1: 5, 2: 5}


def test_a_heavier_tenant_gets_its_multiple():
    queue = Queue(tasks(1, 400, tenant=1) + tasks(2, 400, tenant=2), weights={1: 3.0, 2: 1.0})
    assert tenants_of([task for _ in range(10) for task in queue.claim(8)]) == {1: 60, 2: 20}


def test_claims_of_one_task_take_turns():
    queue = Queue(tasks(1, 9, tenant=1) + tasks(2, 9, tenant=2) + tasks(3, 9, tenant=3))
    assert tenants_of([queue.claim(1)[0] for _ in range(9)]) == {1: 3, 2: 3, 3: 3}


def test_what_one_tenant_leaves_the_others_take():
    queue = Queue(tasks(1, 2, tenant=1) + tasks(2, 100, tenant=2))
    assert tenants_of(queue.claim(20)) == {1: 2, 2: 18}


def test_a_job_without_room_is_skipped_and_its_neighbours_are_served():
    queue = Queue(tasks(1, 3) + tasks(2, 3) + tasks(3, 3))
    assert jobs_of(queue.claim(9, constraints=[Constraint(2, 1, 0, 0)])) == [1, 1, 1, 3, 3, 3]


def test_a_job_with_some_room_gets_that_much():
    queue = Queue(tasks(1, 5) + tasks(2, 5))
    assert jobs_of(queue.claim(9, constraints=[Constraint(1, 1, 0, 2)])) == [1, 1, 2, 2, 2, 2, 2]


def test_the_tightest_of_a_jobs_limits_holds():
    limits = [Constraint(1, 1, 0, 4), Constraint(1, 1, 0, 1), Constraint(1, 1, 0, 3)]
    assert len(Queue(tasks(1, 5)).claim(5, constraints=limits)) == 1


def test_a_class_that_waits_within_its_bound_gets_nothing_before_the_higher_one():
    queue = Queue(tasks(1, 99) + tasks(2, 99, priority=-50), ages={-50: 21_599.0})
    assert set(jobs_of(queue.claim(40))) == {1}


def test_a_class_that_waits_beyond_its_bound_gets_exactly_one_grant_in_ten():
    ready = tasks(1, 999) + [
        task
        for tenant in range(1, 8)
        for task in tasks(10 + tenant, 50, tenant=tenant, priority=-50)
    ]
    for want in (7, 40):
        queue = Queue(ready, ages={-50: 21_601.0})
        taken: list[tuple[int, int, int, int]] = []
        while len(taken) < 280:
            taken += queue.claim(want)
        assert sum(task[1] == -50 for task in taken[:280]) == 28


def test_a_blocked_tenant_does_not_keep_its_overdue_class_waiting():
    ready = (
        tasks(1, 999) + tasks(2, 9, tenant=1, priority=-50) + tasks(3, 9, tenant=2, priority=-50)
    )
    queue = Queue(ready, ages={-50: 99_999.0})
    held = [Constraint(2, 1, -50, 0)]
    taken = [task for _ in range(60) for task in queue.claim(1, constraints=held)]
    assert jobs_of(taken).count(3) == 3


READY = st.lists(
    st.tuples(
        st.integers(1, 2), st.sampled_from([100, 0, -50]), st.integers(1, 4), st.integers(1, 5)
    ),
    max_size=40,
)


def spread(rows):
    """Each job belongs to one tenant and class, so the drawn job number is made one of its own."""
    numbered: dict[tuple[int, int, int], int] = {}
    ready = []
    for number, (capability, priority, tenant, job) in enumerate(rows, 1):
        own = numbered.setdefault((priority, tenant, job), len(numbered) + 1)
        ready.append((capability, priority, tenant, task_id(own, number)))
    return ready


@settings(max_examples=80, deadline=None)
@given(
    READY,
    st.integers(1, 50),
    st.dictionaries(st.integers(1, 4), st.integers(0, 5)),
    st.dictionaries(st.integers(1, 40), st.integers(0, 3)),
    st.sampled_from([0.0, 1e6]),
)
def test_no_claim_goes_beyond_any_room(rows, want, rooms, job_rooms, age):
    ready = spread(rows)
    owners = {task[3] >> 20: task for task in ready}
    limits = [
        Constraint(job, owners[job][2], owners[job][1], room)
        for job, room in job_rooms.items()
        if job in owners
    ]
    queue = Queue(ready, ages=dict.fromkeys(PRIORITIES.values(), age))
    taken = queue.claim(want, tenant_room=rooms, constraints=limits)
    assert len(taken) == len(set(taken)) <= want
    for tenant, count in tenants_of(taken).items():
        assert count <= rooms.get(tenant, want)
    for job, count in Counter(jobs_of(taken)).items():
        assert count <= job_rooms.get(job, want)


@settings(max_examples=80, deadline=None)
@given(READY, st.integers(1, 20), st.sampled_from([0.0, 1e6]))
def test_everything_is_served_in_the_end(rows, want, age):
    queue = Queue(spread(rows), ages=dict.fromkeys(PRIORITIES.values(), age))
    for _ in range(len(rows) + 1):
        queue.claim(want)
    assert queue.ready == []


@settings(max_examples=80, deadline=None)
@given(READY, st.integers(1, 20))
def test_without_overdue_work_no_lower_class_is_served_while_a_higher_one_waits(rows, want):
    queue = Queue(spread(rows))
    taken = queue.claim(want)
    if taken and queue.ready:
        assert min(task[1] for task in taken) >= max(task[1] for task in queue.ready)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(1, 4), st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=2))
def test_busy_tenants_are_served_by_weight_to_within_a_task(weights):
    ready = [task for tenant in weights for task in tasks(tenant, 80, tenant=tenant)]
    queue = Queue(ready, weights=weights)
    for _ in range(15):
        queue.claim(4)
    tags = [queue.served[0, tenant] for tenant in weights]
    assert max(tags) - min(tags) <= max(1 / weight for weight in weights.values()) + 1e-9
