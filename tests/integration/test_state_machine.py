"""Any sequence of actions leaves a sound database, and everything that is open can end.

A failure prints its steps and a seed; ``DAEF_TEST_SEED=<seed>`` runs the same sequences again.
"""

import os
import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from access.actors import LOCAL_OPERATOR
from jobs import integrity, keeper, reaper, ticketer
from jobs.actions import control, fleet, retention
from jobs.actions.settle import (
    Report,
    SettleRequest,
    SettleStatus,
    settle_and_claim,
)
from jobs.errors import StateConflict
from jobs.models import Job, Lease, Task
from jobs.states import TASK_ENDS, task_name
from jobs.transitions.sql import execute, fetch
from tests.integration.burials import requeue
from tests.integration.orders import graphs, limits, owners
from tests.integration.reports import Outcome, outcomes, report_of
from tests.integration.scenario import (
    LEASE_SECONDS,
    Hand,
    register,
    submit_job,
    tenant,
)
from tests.integration.task_model import TASK_BITS, Share, TaskModel, rows_of

WORKERS = 3
BOBS_LIMIT = 3
workers = st.integers(0, WORKERS - 1)
picks = st.integers(0, 10_000)


class Fabric(RuleBasedStateMachine):
    """Clients, agents, controllers and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.reset = transaction.atomic()
        self.reset.__enter__()
        self.model = TaskModel()
        self.hands: list[Hand] = []
        self.sound = True

    @initialize()
    def begin(self) -> None:
        bob = tenant("bob")
        bob.max_running_tasks = BOBS_LIMIT
        bob.save()
        self.hands = [register() for _ in range(WORKERS)]

    # ── clients ──────────────────────────────────────────────────────────────────────────────────

    @rule(count=st.integers(1, 5), more=limits, owner=owners)
    def submit_batch(self, count: int, more: dict[str, Any], owner: str) -> None:
        requests = [{"custom_id": f"r-{n}", "kind": "echo", "input": n} for n in range(count)]
        submit_job({"type": "batch", "requests": requests, **more}, owner=owner)
        self.check()

    @rule(graph=graphs, more=limits, owner=owners, money=st.sampled_from([None, 0.00001, 1]))
    def submit_graph(self, graph: Any, more: dict[str, Any], owner: str, money: Any) -> None:
        tasks = []
        for number, (kind, parents, needs) in enumerate(graph):
            names = [f"t{n}" for n in range(number) if parents >> n & 1]
            task = {"name": f"t{number}", "kind": kind, "needs" if needs else "collects": names}
            tasks.append({**task, "input": {"prompt": "x"} if kind == "chat" else 1})
        budget = {} if money is None else {"budget": {"limit_usd": money}}
        submit_job({"type": "pipeline", "tasks": tasks, **more, **budget}, owner=owner)
        self.check()

    @rule(documents=st.integers(2, 4), owner=owners)
    def submit_analysis(self, documents: int, owner: str) -> None:
        texts = [f"letter {n}" for n in range(documents)]
        submit_job({"type": "analyze", "input": "why?", "documents": texts}, owner=owner)
        self.check()

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job = self.some_job(pick)
        control.cancel_job(job_id=job.pk, actor=LOCAL_OPERATOR)
        self.model.lost([t for t in self.model.held if t >> TASK_BITS == job.pk])
        self.check()

    @rule(pick=picks)
    def suspend(self, pick: int) -> None:
        self.try_control(control.suspend_job, self.some_job(pick))

    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        self.try_control(control.resume_job, self.some_job(pick))

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        dead = sorted(t for t, row in self.model.rows.items() if row.status == "DeadLettered")
        dead = dead or sorted(self.model.rows) or [self.some_job(0).pk << TASK_BITS]
        self.try_control(control.retry_job, self.some_job(dead[pick % len(dead)], exact=True))

    @rule(mask=st.integers(0, 255), pick=picks, dry_run=st.booleans())
    def requeue(self, mask: int, pick: int, dry_run: bool) -> None:
        """Some dead letters of any jobs, and a task that may be anything."""
        dead = sorted(t for t, row in self.model.rows.items() if row.status == "DeadLettered")
        every = sorted(self.model.rows) or [self.some_job(0).pk << TASK_BITS | 1]
        wanted = {task for n, task in enumerate(dead) if mask >> n % 8 & 1}
        names = list(map(task_name, [*sorted(wanted), every[pick % len(every)]]))
        execute("delete from requeue_window")
        answer = requeue(names, dry_run=dry_run)
        assert answer["requeued"] + len(answer["skipped"]) == len(names) == answer["requested"]
        before = {task: self.model.rows[task].generation for task in dead}
        self.check(reopening=not dry_run)
        opened = [t for t in dead if self.model.rows[t].generation > before[t]]
        assert dry_run or answer["requeued"] == len({*map(task_name, opened)} & {*names})

    # ── agents ───────────────────────────────────────────────────────────────────────────────────

    @rule(worker=workers, want=st.integers(1, 8))
    def claim(self, worker: int, want: int) -> None:
        hand = self.hands[worker]
        self.model.claimed(hand.worker.pk, hand.claim(want))
        self.check()

    @rule(pick=picks, outcome=outcomes, want=st.integers(0, 2))
    def settle_held(self, pick: int, outcome: Outcome, want: int) -> None:
        held = self.some_held()
        share = held[pick % len(held)]
        hand = next((h for h in self.hands if h.worker.pk == share.owner), self.hands[0])
        self.settle([(hand, report_of(share, outcome))], want)

    @rule(pick=picks)
    def finish_everything_of_a_worker(self, pick: int) -> None:
        hand = self.hands[pick % WORKERS]
        mine = sorted(s for s in self.model.held.values() if s.owner == hand.worker.pk)
        self.settle([(hand, report_of(s, Outcome("success"))) for s in mine], 0)

    @rule(pick=picks, worker=workers, first=outcomes, second=outcomes)
    def settle_anything_twice(
        self, pick: int, worker: int, first: Outcome, second: Outcome
    ) -> None:
        """Stale, foreign and repeated reports, two at once."""
        self.some_held()
        share = self.model.history[pick % len(self.model.history)]
        other = self.hands[(worker + 1) % WORKERS]
        reports = [(self.hands[worker], first), (other, second)]
        self.settle([(hand, report_of(share, outcome)) for hand, outcome in reports], 0)

    @rule(worker=workers, mask=st.integers(0, 255), old=st.booleans(), pick=picks)
    def heartbeat(self, worker: int, mask: int, old: bool, pick: int) -> None:
        hand = self.hands[worker]
        mine = sorted(s for s in self.model.held.values() if s.owner == hand.worker.pk)
        named = [share for n, share in enumerate(mine) if mask >> n & 1]
        if self.model.history:
            named.append(self.model.history[pick % len(self.model.history)])
        if old:
            execute("update lease set granted_at = granted_at - interval '1 minute'")
        lost = self.lost_replies(hand, {share.task for share in named})
        pulse = beat(hand, named)
        self.model.released(lost)
        gone = {(share.task_id, share.epoch) for share in pulse.gone}
        mine_now = {s[:2] for s in self.model.held.values() if s.owner == hand.worker.pk}
        assert gone == {share[:2] for share in named} - mine_now
        self.check()

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        gone = self.hands[worker]
        fleet.deregister(gone.worker)
        self.model.released([s for s in self.model.held.values() if s.owner == gone.worker.pk])
        self.hands[worker] = register()
        self.check()

    # ── time and controllers ─────────────────────────────────────────────────────────────────────

    @rule(pick=picks, closed=st.booleans(), beats=st.booleans())
    def lose(self, pick: int, closed: bool, beats: bool) -> None:
        """A lease runs out; a heartbeat may come just before it is found."""
        self.some_held()
        leases = list(Lease.objects.order_by("id"))
        lease = leases[pick % len(leases)]
        column = "close_at = expires_at - interval '1 hour', expires_at" if closed else "expires_at"
        execute(
            f"update lease set {column} = clock_timestamp() - interval '10 seconds' where id = %s",
            (lease.pk,),
        )
        if beats:
            hand = next(hand for hand in self.hands if hand.worker.pk == lease.owner)
            beat(hand, [s for s in self.model.held.values() if s.owner == lease.owner])
        doomed = [] if beats and not closed else self.model.under(lease.pk)
        reaper.reap_leases()
        self.model.lost([share.task for share in doomed])
        self.check()

    @rule()
    def pass_time_of_backoffs(self) -> None:
        execute("update delayed set due_at = now() where due_at <> 'infinity'")
        ticketer.move_due()
        self.check()

    @rule()
    def repair(self) -> None:
        # The transaction's clock stands still; agents that are alive must not look silent.
        execute("update worker set heartbeat_at = clock_timestamp()")
        reaper.one_pass()
        keeper.Keeper().one_pass()
        ended = Job.objects.exclude(finished_at=None).values_list("pk", flat=True)
        self.model.lost([t for t in self.model.held if t >> TASK_BITS in set(ended)])
        self.check()

    @rule(pick=picks)
    def pass_deadline(self, pick: int) -> None:
        job = self.some_job(pick)
        if job.finished_at is None:
            Job.objects.filter(pk=job.pk).update(deadline_at=job.created_at)
            self.repair()

    @rule(pick=picks)
    def pass_schedule_to_close(self, pick: int) -> None:
        job = self.some_job(pick)
        execute(
            "update job set schedule_to_close_seconds = 10, created_at = now() - interval '1 hour' "
            "where id = %s",
            (job.pk,),
        )
        execute(
            "update task set created_at = now() - interval '1 hour' where job_id = %s", (job.pk,)
        )
        self.model.overdue.add(job.pk)
        keeper.bury_overdue()
        self.check()

    @rule(pick=picks)
    def forget_an_old_job(self, pick: int) -> None:
        job = self.some_job(pick)
        execute(
            "update job set finished_at = now() - interval '40 days' "
            "where id = %s and finished_at is not null",
            (job.pk,),
        )
        assert retention.delete_old_jobs(days=30) == int(job.finished_at is not None)
        if job.finished_at is not None:
            self.model.forget(job.pk)
            assert rows_of(job.pk) == 0
        self.check()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def teardown(self) -> None:
        try:
            if self.hands and self.sound:
                self.drain()
        finally:
            transaction.set_rollback(True)
            self.reset.__exit__(None, None, None)

    def drain(self) -> None:
        """Everything that is open and not suspended ends once agents work and controllers run."""
        for hand in self.hands:
            fleet.deregister(hand.worker)
        self.model.released(list(self.model.held.values()))
        last = register()
        for _ in range(100):
            self.pass_time_of_backoffs()
            self.repair()
            claimed = last.claim(50)
            self.model.claimed(last.worker.pk, claimed)
            shares = [self.model.held[task.id] for task in claimed]
            self.settle([(last, report_of(s, Outcome("success"))) for s in shares], 0)
            if not Job.objects.filter(finished_at=None, suspended_at=None).exists():
                return
        stuck = Job.objects.filter(finished_at=None, suspended_at=None).values_list("pk", flat=True)
        raise AssertionError(f"jobs {list(stuck)} never end")

    # ── parts of steps ───────────────────────────────────────────────────────────────────────────

    def check(self, *, reopening: bool = False) -> None:
        self.sound = False
        self.model.compare(reopening=reopening)
        assert integrity.check_all() == []
        of_bob = fetch(
            "select count(*) from task where status = 'Running' and tenant_id = %s",
            (tenant("bob").pk,),
        )
        assert of_bob[0][0] <= BOBS_LIMIT
        self.sound = True

    def some_job(self, pick: int, *, exact: bool = False) -> Job:
        if not self.model.rows:
            submit_job({"type": "chat", "input": "hello"})
            self.check()
        jobs = sorted({task >> TASK_BITS for task in self.model.rows})
        return Job.objects.get(pk=pick >> TASK_BITS if exact else jobs[pick % len(jobs)])

    def some_held(self) -> list[Share]:
        """What agents hold; where that is nothing, something is claimed first.

        Rules have no preconditions: claims depend on the clock a little, so Hypothesis would find
        a rule possible in one run and impossible in its repetition.
        """
        while not self.model.held:
            submit_job({"type": "chat", "input": "hello"})
            self.check()
            self.claim(worker=0, want=3)
        return sorted(self.model.held.values())

    def try_control(self, action: Any, job: Job) -> None:
        try:
            action(job_id=job.pk, actor=LOCAL_OPERATOR)
        except StateConflict:
            self.check()
        else:
            self.check(reopening=action is control.retry_job)

    def lost_replies(self, hand: Hand, named: set[int]) -> list[Share]:
        """What a heartbeat that names these has to give back."""
        leases = Lease.objects.filter(
            owner=hand.worker.pk, granted_at__lt=timezone.now() - timedelta(seconds=10)
        )
        tasks = {task for lease in leases for task in lease.task_ids}
        return [share for t in sorted(tasks - named) if (share := self.model.held.get(t))]

    def settle(self, reports: list[tuple[Hand, Report]], want: int) -> None:
        by_hand: dict[int, tuple[Hand, list[Report]]] = {}
        for hand, report in reports:
            by_hand.setdefault(hand.worker.pk, (hand, []))[1].append(report)
        expected = []
        for owner, (_, mine) in by_hand.items():
            for report in mine:
                answer = self.model.expected_answer(owner, report)
                taken = answer in (SettleStatus.APPLIED, SettleStatus.REJECTED)
                status = self.model.settle(report, answer) if taken else None
                expected.append((report.task_id, answer, status))
        requests = [
            SettleRequest(hand.worker, mine, want, LEASE_SECONDS) for hand, mine in by_hand.values()
        ]
        answers = settle_and_claim(requests, self.hands[0].claimer)
        told = [answer.status for each in answers for answer in each.answers]
        assert told == [answer for _, answer, _ in expected]
        for request, each in zip(requests, answers, strict=True):
            self.model.claimed(request.worker.pk, each.tasks)
        statuses = dict(Task.objects.values_list("id", "status"))
        for task, _, status in expected:
            if status in TASK_ENDS or (status and task not in self.model.held):
                assert statuses[task] in {status, *({"Cancelled"} if status == "Queued" else ())}
        self.check()


def beat(hand: Hand, shares: Iterable[Share]) -> fleet.Pulse:
    named = [fleet.Share(share.task, share.epoch) for share in shares]
    return fleet.heartbeat(hand.worker, named, free_slots=1, claimer=hand.claimer)


def run(examples: int, steps: int) -> None:
    number = int(os.environ.get("DAEF_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"DAEF_TEST_SEED={number}")
    seed(number)(Fabric)
    run_state_machine_as_test(
        Fabric,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


@pytest.mark.timeout(400)
@pytest.mark.django_db(transaction=True)
def test_any_sequence_of_actions_leaves_a_sound_database_and_everything_can_end():
    run(examples=20, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.django_db(transaction=True)
def test_many_long_sequences_of_actions_leave_a_sound_database():
    run(examples=500, steps=80)
