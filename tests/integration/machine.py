"""The state machine's own parts: its hands, its models, and what is compared after each step."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine, initialize

from access.actors import LOCAL_OPERATOR
from audit.integrity import verify_chain
from jobs import integrity
from jobs.actions import control, fleet
from jobs.actions.settle import Report, SettleRequest, SettleStatus, settle
from jobs.errors import StateConflict
from jobs.models import Job, Lease, Task
from jobs.states import TASK_ENDS
from jobs.transitions.sql import execute, fetch
from tests.integration.job_model import JobModel, events_of_operators
from tests.integration.reports import Outcome, report_of
from tests.integration.scenario import Hand, register, submit_job, tenant
from tests.integration.task_model import TASK_BITS, Share, TaskModel

WORKERS = 3
BOBS_LIMIT = 3
LEASE_SECONDS = 3_600.0
"""No lease runs out by itself, however slow the machine is: the rules say when."""
ALICES_WORKER = 2
"""Works for alice alone; the others for everybody."""


class Machine(RuleBasedStateMachine):
    """One transaction, workers played by hand, and what each task and job has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.reset = transaction.atomic()
        self.reset.__enter__()
        self.model = TaskModel()
        self.jobs = JobModel()
        self.hands: list[Hand] = []
        self.gone: list[Hand] = []
        self.draining: set[int] = set()
        self.sound = True

    @initialize()
    def begin(self) -> None:
        bob = tenant("bob")
        bob.max_running_tasks = BOBS_LIMIT
        bob.save()
        tenant("alice")
        self.hands = [self.newcomer(number) for number in range(WORKERS)]

    def newcomer(self, number: int) -> Hand:
        owner = "alice" if number == ALICES_WORKER else None
        return register(owner=owner, lease_seconds=LEASE_SECONDS)

    def replace(self, number: int) -> None:
        """An incarnation is over; its process starts anew."""
        self.gone.append(self.hands[number])
        self.draining.discard(self.hands[number].worker.pk)
        self.hands[number] = self.newcomer(number)

    # ── comparing ────────────────────────────────────────────────────────────────────────────────

    def check(self, *, reopening: bool = False) -> None:
        self.sound = False
        self.model.compare(reopening=reopening)
        self.jobs.compare()
        assert integrity.check_all() == []
        of_bob, astray = fetch(
            "select count(*) filter (where tenant_id = %s), count(*) filter (where owner = %s "
            "and tenant_id <> %s) from task where status = 'Running'",
            (tenant("bob").pk, self.hands[ALICES_WORKER].worker.pk, tenant("alice").pk),
        )[0]
        assert of_bob <= BOBS_LIMIT
        assert astray == 0, "alice's worker holds a task of somebody else"
        self.sound = True

    def drain(self) -> None:
        """Everything that is open and not suspended ends once agents work and controllers run."""
        for hand in self.hands:
            fleet.deregister(hand.worker)
        self.model.released(list(self.model.held.values()))
        last = register()
        # Bob's limit lets few tasks through at a time, and there may be hundreds.
        for _ in range(100 + Task.objects.count()):
            self.let_time_pass()
            claimed = last.claim(50)
            self.model.claimed(last.worker.pk, claimed)
            shares = [self.model.held[task.id] for task in claimed]
            self.settle([(last, success(share)) for share in shares])
            if not Job.objects.filter(finished_at=None, suspended_at=None).exists():
                assert verify_chain() is None
                return
        stuck = Job.objects.filter(finished_at=None, suspended_at=None).values_list("pk", flat=True)
        raise AssertionError(f"jobs {list(stuck)} never end")

    def let_time_pass(self) -> None:
        """What the controllers do, backoffs over."""
        raise AssertionError("the rules say how")

    # ── parts of steps ───────────────────────────────────────────────────────────────────────────

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
            self.draining.discard(self.hands[0].worker.pk)
            execute("update worker set state = 'Active' where id = %s", (self.hands[0].worker.pk,))
            self.claim_for(self.hands[0], 3)
        return sorted(self.model.held.values())

    def claim_for(self, hand: Hand, want: int) -> None:
        tasks = hand.claim(want)
        assert not (tasks and hand.worker.pk in self.draining)
        self.model.claimed(hand.worker.pk, tasks)
        self.check()

    def ask(self, action: Any, job: Job) -> None:
        """An operator's request: it changes the job and is written down, or it is refused."""
        before = events_of_operators()
        refused = False
        try:
            action(job_id=job.pk, actor=LOCAL_OPERATOR)
        except StateConflict:
            refused = True
        if action is control.cancel_job:
            self.model.lost([t for t in self.model.held if t >> TASK_BITS == job.pk])
        self.jobs.did(before, refused=refused)
        self.check(reopening=action is control.retry_job and not refused)

    def lost_replies(self, hand: Hand, named: set[int]) -> list[Share]:
        """What a heartbeat that names these has to give back."""
        leases = Lease.objects.filter(
            owner=hand.worker.pk, granted_at__lt=timezone.now() - timedelta(seconds=10)
        )
        tasks = {task for lease in leases for task in lease.task_ids}
        return [share for t in sorted(tasks - named) if (share := self.model.held.get(t))]

    def settle(self, reports: list[tuple[Hand, Report]]) -> None:
        by_hand: dict[int, tuple[Hand, list[Report]]] = {}
        for hand, report in reports:
            by_hand.setdefault(hand.worker.pk, (hand, []))[1].append(report)
        expected = [
            (report.task_id, *self._expect(owner, report))
            for owner, (_, mine) in by_hand.items()
            for report in mine
        ]
        answers = settle([SettleRequest(hand.worker, mine) for hand, mine in by_hand.values()])
        told = [answer.status for each in answers for answer in each]
        assert told == [answer for _, answer, _ in expected]
        statuses = dict(Task.objects.values_list("id", "status"))
        for task, _, status in expected:
            if status in TASK_ENDS or (status and task not in self.model.held):
                assert statuses[task] in {status, *({"Cancelled"} if status == "Queued" else ())}
        self.check()

    def _expect(self, owner: int, report: Report) -> tuple[SettleStatus, str | None]:
        answer = self.model.expected_answer(owner, report)
        if answer not in (SettleStatus.APPLIED, SettleStatus.REJECTED):
            return answer, None
        ceiling = Task.objects.values_list("ceiling_nano_usd", flat=True).get(pk=report.task_id)
        self.jobs.paid(report, ceiling)
        return answer, self.model.settle(report, answer)


def success(share: Share) -> Report:
    """The report of this share's success."""
    return report_of(share, Outcome("success"))


def beat(hand: Hand, shares: Iterable[Share]) -> fleet.Pulse:
    """A heartbeat that names these shares."""
    named = [fleet.Share(share.task, share.epoch) for share in shares]
    return fleet.heartbeat(hand.worker, named, free_slots=1, claimer=hand.claimer)


def body_of(variant: int) -> dict[str, Any]:
    """One of the bodies that are sent with a key."""
    return {"type": "chat", "input": json.dumps(variant)}
