"""Any sequence of actions leaves a sound database, and everything that is open can end.

A failure prints its steps and a seed; ``DAEF_TEST_SEED=<seed>`` runs the same sequences again.
"""

import json
import os
import random
import time
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from access.actors import LOCAL_OPERATOR
from jobs import intake, keeper, reaper, ticketer
from jobs.actions import control, fleet, retention
from jobs.errors import IdempotencyMismatch, LeaseNotHeld
from jobs.models import Job, Lease
from jobs.states import task_name
from jobs.transitions.sql import execute
from tests.integration.burials import requeue
from tests.integration.job_model import fingerprint
from tests.integration.machine import WORKERS, Machine, beat, body_of, success
from tests.integration.orders import graphs, limits, owners
from tests.integration.reports import Outcome, outcomes, report_of
from tests.integration.scenario import submit_job
from tests.integration.task_model import TASK_BITS, rows_of

workers = st.integers(0, WORKERS - 1)
picks = st.integers(0, 10_000)


SOAK_SECONDS = 600.0


class Fabric(Machine):
    """Clients, agents, controllers and time, in any order."""

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

    @rule(key=st.sampled_from("xy"), variant=st.integers(1, 2), owner=owners)
    def submit_with_key(self, key: str, variant: int, owner: str) -> None:
        """The first body makes a job, the same one finds it, another one is refused."""
        known = self.jobs.keys.get((owner, key))
        count = Job.objects.count()
        try:
            job = submit_job(body_of(variant), owner=owner, key=key)
        except IdempotencyMismatch:
            assert known is not None
            assert known[0] != variant
        else:
            assert known in (None, (variant, job.pk))
            self.jobs.keys[owner, key] = (variant, job.pk)
        assert Job.objects.count() == count + (known is None)
        self.check()

    @rule(variant=st.integers(1, 2))
    def look_at_a_plan(self, variant: int) -> None:
        """A dry run writes nothing."""
        before = fingerprint()
        intake.preview(json.dumps(body_of(variant)).encode(), actor=LOCAL_OPERATOR)
        assert fingerprint() == before

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self.ask(control.cancel_job, self.some_job(pick))

    @rule(pick=picks)
    def suspend(self, pick: int) -> None:
        self.ask(control.suspend_job, self.some_job(pick))

    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        self.ask(control.resume_job, self.some_job(pick))

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        dead = sorted(t for t, row in self.model.rows.items() if row.status == "DeadLettered")
        dead = dead or sorted(self.model.rows) or [self.some_job(0).pk << TASK_BITS]
        self.ask(control.retry_job, self.some_job(dead[pick % len(dead)], exact=True))

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
        self.claim_for(self.hands[worker], want)

    @rule(pick=picks, outcome=outcomes)
    def settle_held(self, pick: int, outcome: Outcome) -> None:
        held = self.some_held()
        share = held[pick % len(held)]
        hand = next((h for h in self.hands if h.worker.pk == share.owner), self.hands[0])
        self.settle([(hand, report_of(share, outcome))])

    @rule(pick=picks)
    def finish_everything_of_a_worker(self, pick: int) -> None:
        hand = self.hands[pick % WORKERS]
        mine = sorted(s for s in self.model.held.values() if s.owner == hand.worker.pk)
        self.settle([(hand, success(s)) for s in mine])

    @rule(pick=picks, worker=workers, first=outcomes, second=outcomes)
    def settle_anything_twice(
        self, pick: int, worker: int, first: Outcome, second: Outcome
    ) -> None:
        """Stale, foreign and repeated reports, two at once."""
        self.some_held()
        share = self.model.history[pick % len(self.model.history)]
        other = self.hands[(worker + 1) % WORKERS]
        reports = [(self.hands[worker], first), (other, second)]
        self.settle([(hand, report_of(share, outcome)) for hand, outcome in reports])

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
        self.replace(worker)
        self.check()

    @rule(worker=workers)
    def fall_silent(self, worker: int) -> None:
        """A machine is lost: its leases run out, and the incarnation is over."""
        lost = self.hands[worker].worker.pk
        execute("update lease set expires_at = now() - interval '1 day' where owner = %s", (lost,))
        execute(
            "update worker set heartbeat_at = case when id = %s then now() - interval '1 day' "
            "else clock_timestamp() end",
            (lost,),
        )
        reaper.Reaper().one_pass()
        keeper.Keeper().one_pass()
        self.model.lost([s.task for s in self.model.held.values() if s.owner == lost])
        self.replace(worker)
        self.note_ended_jobs()

    @rule(pick=picks, outcome=outcomes)
    def come_back_from_the_dead(self, pick: int, outcome: Outcome) -> None:
        """An incarnation that is over renews nothing and settles nothing anew."""
        if not self.gone:
            self.leave(worker=0)
        hand = self.gone[pick % len(self.gone)]
        with pytest.raises(LeaseNotHeld):
            beat(hand, [])
        mine = [share for share in self.model.history if share.owner == hand.worker.pk]
        self.settle([(hand, report_of(share, outcome)) for share in mine[-1:]])

    @rule(worker=workers, off=st.booleans())
    def drain_a_worker(self, worker: int, off: bool) -> None:
        hand = self.hands[worker]
        (self.draining.discard if off else self.draining.add)(hand.worker.pk)
        state = "Active" if off else "Draining"
        execute("update worker set state = %s where id = %s", (state, hand.worker.pk))
        held = [s for s in self.model.held.values() if s.owner == hand.worker.pk]
        assert beat(hand, held).drain is not off
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
        reaper.Reaper().one_pass()
        keeper.Keeper().one_pass()
        self.note_ended_jobs()

    def note_ended_jobs(self) -> None:
        """A job that ended over its running tasks took their leases."""
        ended = Job.objects.exclude(finished_at=None).values_list("pk", flat=True)
        self.model.lost([t for t in self.model.held if t >> TASK_BITS in set(ended)])
        self.check()

    def let_time_pass(self) -> None:
        self.pass_time_of_backoffs()
        self.repair()

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
        self.model.overdue |= {t for t in self.model.rows if t >> TASK_BITS == job.pk}
        keeper.bury_overdue()
        self.check()

    @rule(pick=picks)
    def pass_schedule_to_start(self, pick: int) -> None:
        """What waited too long for a worker is buried, whether it stood in line or backed off."""
        job = self.some_job(pick)
        waited = "- interval '1 hour' where"
        execute(
            f"update job set schedule_to_start_seconds = 10, created_at = now() {waited} id = %s",
            (job.pk,),
        )
        execute(
            f"update task set queued_at = now() {waited} job_id = %s and status = 'Queued'",
            (job.pk,),
        )
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
            self.jobs.forget(job.pk)
            assert rows_of(job.pk) == 0
        self.check()

    def teardown(self) -> None:
        try:
            if self.hands and self.sound:
                self.drain()
        finally:
            transaction.set_rollback(True)
            self.reset.__exit__(None, None, None)


def run(examples: int, steps: int) -> None:
    number = int(os.environ.get("DAEF_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"DAEF_TEST_SEED={number}", flush=True)
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
    """For ten minutes, a new seed every few sequences."""
    until = time.monotonic() + SOAK_SECONDS
    while time.monotonic() < until:
        run(examples=5, steps=80)
