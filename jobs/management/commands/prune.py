"""``manage.py prune``: delete at once what retention deletes minute by minute."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from access.command_line import OperatorCommand, command_origin, shell_actor
from jobs.actions.retention import JOBS_PER_PASS, Pruning, prune, try_pruning
from jobs.management.refusals import INTERRUPTED_STATUS, refusals_told
from jobs.queries.retention import Amounts


@dataclass
class Done:
    """What was deleted so far."""

    amounts: Amounts = field(default_factory=Amounts)
    batches: int = 0


class Command(OperatorCommand):
    help = """Deletes jobs that ended more than DAEF_RETENTION_DAYS days ago with their tasks,
attempts, results and dead letters, idempotency keys older than 24 hours, and artifacts that no
job or file needs any more. The control plane does the same by itself, up to 50 jobs a
minute; this is for a backlog, for an earlier day, or to see what is due.

Jobs that are open are never touched, nor is the audit log or the ledger of usage.
What is deleted cannot be had again: try it out first, and back up what you may want.

It works in batches, each one transaction with one entry in the audit log; nobody
waits for them. It may be run beside work, beside itself, and again.

Examples:
  prune --dry-run
  prune --days 7 --reason 'disk at 80 %, OPS-2291'
  prune --tenant acme --days 1 --reason 'contract ended'

Ctrl-C stops it between two batches or takes the one under way back.

Exit status: 0 done; 1 a fault; 2 refused; 130 stopped."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            metavar="N",
            help="jobs that ended more than N days ago, at least 1; DAEF_RETENTION_DAYS without it",
        )
        parser.add_argument(
            "--tenant", default="", help="only this tenant's jobs; keys and artifacts stay then"
        )
        parser.add_argument(
            "--batch",
            type=int,
            default=JOBS_PER_PASS,
            metavar="N",
            help=f"jobs of one transaction, 1 to 1,000 ({JOBS_PER_PASS}); a batch also ends at "
            "50,000 tasks",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
        parser.add_argument("--reason", default="", help="why; goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        days = settings.DAEF_RETENTION_DAYS if options["days"] is None else options["days"]
        wanted = Pruning(days, options["tenant"], options["batch"])
        reason = options["reason"]
        if options["dry_run"]:
            with refusals_told():
                found = try_pruning(wanted, actor=shell_actor(), origin=command_origin(reason))
            self._tell(found, wanted, options, batches=0, stopped=False)
            return
        done = Done()
        try:
            with refusals_told():
                self._work(wanted, reason, done)
        except KeyboardInterrupt:
            self._tell(done.amounts, wanted, options, batches=done.batches, stopped=True)
            raise CommandError(
                "Stopped; the same command goes on.", returncode=INTERRUPTED_STATUS
            ) from None
        self._tell(done.amounts, wanted, options, batches=done.batches, stopped=False)

    def _work(self, wanted: Pruning, reason: str, done: Done) -> None:
        while True:
            batch = prune(wanted, actor=shell_actor(), origin=command_origin(reason))
            if batch == Amounts():
                return
            done.amounts += batch
            done.batches += 1
            self.stderr.write(f"{done.amounts.jobs:,} jobs, {done.amounts.tasks:,} tasks deleted")

    def _tell(
        self,
        amounts: Amounts,
        wanted: Pruning,
        options: dict[str, Any],
        *,
        batches: int,
        stopped: bool,
    ) -> None:
        if options["json"]:
            self.print_json(
                {
                    "dry_run": options["dry_run"],
                    "days": wanted.days,
                    "tenant": wanted.tenant or None,
                    **asdict(amounts),
                    "batches": batches,
                    "stopped": stopped,
                }
            )
            return
        verb = "would be deleted" if options["dry_run"] else "deleted"
        of = f" of {wanted.tenant}" if wanted.tenant else ""
        self.stdout.write(
            f"{amounts.jobs:,} jobs{of} that ended more than {wanted.days} days ago, with "
            f"{amounts.tasks:,} tasks, {verb}"
        )
        if not wanted.tenant:
            self.stdout.write(f"{amounts.keys:,} idempotency keys {verb}")
            self.stdout.write(f"{amounts.artifacts:,} artifacts {verb}")
