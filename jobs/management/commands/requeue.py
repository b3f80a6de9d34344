"""``manage.py requeue``: open dead letters again, as many as it takes."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from access.command_line import REFUSED_STATUS, OperatorCommand, command_origin, shell_actor
from jobs.management.batches import Batches, Tally, chosen, named
from jobs.management.progress import shown_progress
from jobs.management.refusals import INTERRUPTED_STATUS, refusals_told
from jobs.queries.dead_letters import DeadLetterFilter, count_dead_letters, database_time

FILTERS = ("tenant", "job", "kind", "error_code", "cause")


class Command(OperatorCommand):
    help = """Opens dead letters again, of any tenant: they are queued with all their attempts, as
a new generation, and what hung on them waits for them. The history stays. It works
through as many as there are, oldest first, in calls that keep the cap of a batch and
wait for the rate (DAEF_ADMIN_REQUEUE_MAX_BATCH, ..._RATE_LIMIT_PER_MIN). What dies
again meanwhile is left for the next time. Each call leaves one entry in the audit log.

Say which: task by task, or by filters, which narrow together. Try it out first.

Examples:
  requeue --error-code endpoint_auth --dry-run
  requeue --error-code endpoint_auth --reason 'key of vllm-eu rotated, OPS-2291'
  requeue --cause f3b0a1c2d4e5f607 --tenant acme --confirm -  < confirm-token
  requeue --tasks job-4186-311 job-4186-298

Ctrl-C stops it between two calls or takes the one under way back; the same command
goes on where it stopped.

Exit status: 0 done, also where tasks were skipped; 1 a fault; 2 refused; 130 stopped."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--tasks", nargs="+", metavar="TASK", help="these tasks, for example job-1-7 job-1-9"
        )
        parser.add_argument("--job", help="those of this job, by job-7 or by uid")
        parser.add_argument("--error-code", help="those with this error code")
        parser.add_argument("--cause", metavar="FINGERPRINT", help="those of this cause")
        parser.add_argument("--tenant", help="those of this tenant")
        parser.add_argument("--kind", help="those of this kind of task")
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be done; waits for no rate"
        )
        parser.add_argument("--reason", default="", help="why; goes into the audit log")
        parser.add_argument(
            "--confirm",
            default="",
            metavar="TOKEN",
            help="the token of DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN, where that is set; - reads it "
            "from standard input, so that no list of processes shows it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = DeadLetterFilter(**{name: options[name] for name in FILTERS})
        _check_choice(options["tasks"], wanted)
        tally = Tally(options["dry_run"])
        try:
            with refusals_told():
                self._work(options, wanted, tally)
        except KeyboardInterrupt:
            self._tell(tally, stopped=True, as_json=options["json"])
            raise CommandError(
                "Stopped; the same command goes on.", returncode=INTERRUPTED_STATUS
            ) from None
        except CommandError:
            if tally.audit_ids:
                self._tell(tally, stopped=True, as_json=options["json"])
            raise
        self._tell(tally, stopped=False, as_json=options["json"])

    def _work(self, options: dict[str, Any], wanted: DeadLetterFilter, tally: Tally) -> None:
        tasks = options["tasks"]
        total = len(tasks) if tasks else count_dead_letters(wanted)
        with shown_progress(total, self.stderr) as progress:
            batches = Batches(
                actor=shell_actor(),
                origin=command_origin(options["reason"]),
                dry_run=options["dry_run"],
                confirmation=_confirmation(options["confirm"]),
                waiting=progress.waiting,
            )
            work = named(tasks) if tasks else chosen(wanted, until=database_time())
            for count in batches.run(work, tally):
                skipped = len(tally.skipped)
                progress.advance(count, f"{tally.requeued:,} requeued, {skipped:,} skipped")

    def _tell(self, tally: Tally, *, stopped: bool, as_json: bool) -> None:
        if as_json:
            self.print_json({**tally.__dict__, "stopped": stopped})
            return
        done = "would be requeued" if tally.dry_run else "are queued again"
        self.stdout.write(f"{tally.requeued:,} of {tally.requested:,} tasks {done}.")
        for reason, count in tally.reasons().items():
            self.stdout.write(f"  {count:,} skipped: {reason}")
        if tally.audit_ids:
            first, last = tally.audit_ids[0], tally.audit_ids[-1]
            entries = f"entry {first}" if first == last else f"entries {first} to {last}"
            self.stdout.write(f"  audit log: {entries}")


def _check_choice(tasks: list[str] | None, wanted: DeadLetterFilter) -> None:
    filtered = any(value is not None for value in wanted.__dict__.values())
    if bool(tasks) == filtered:
        raise CommandError(
            "Say which dead letters: either --tasks, or one or more of --job, --error-code, "
            "--cause, --tenant, --kind.",
            returncode=REFUSED_STATUS,
        )


def _confirmation(given: str) -> bytes:
    text = sys.stdin.readline().rstrip("\r\n") if given == "-" else given
    return text.encode("utf-8", "surrogateescape")
