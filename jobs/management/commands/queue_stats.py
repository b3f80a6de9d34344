"""``manage.py queue_stats``: what waits and runs, how long already, and who could take it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError

from access.command_line import REFUSED_STATUS, OperatorCommand
from jobs.queries.queues import queue_report
from jobs.queries.rendering.words import duration

LATE_STATUS: Final = 3
"""Exit status of ``--check`` where something waits too long."""


class Command(OperatorCommand):
    help = """Shows each pool's queues as they are now: tasks that could run, tasks that run, how
long the oldest has waited against its bound; below, the pool's workers and slots, tickets
in Redis, and dead letters. PostgreSQL is asked, which alone knows: a ticket in Redis is
a wake-up, not a task. The cost follows pools, waiting tenants and leases, not tasks, so
that it may be asked every few seconds of a fabric with millions. Changes nothing.

Examples:
  queue_stats
  queue_stats --pool gpu --json
  queue_stats --check || mail -s 'DAEF waits' operators

With --check the exit status is 3 where a class of priority waits beyond its bound, or
where work waits in a pool without a live worker; what it is goes to standard error.

Exit status: 0 told; 1 a fault; 2 there is no such pool; 3 see --check."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pool", help="only this pool")
        parser.add_argument(
            "--check", action="store_true", help="exit with status 3 where something waits too long"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = queue_report(pool=options["pool"])
        if options["pool"] is not None and not report["pools"]:
            raise CommandError(
                f"There is no pool {options['pool'][:63]!a}; leave --pool out to see all.",
                returncode=REFUSED_STATUS,
            )
        if options["json"]:
            self.print_json(report)
        else:
            self._tell(report)
        if options["check"] and report["late"]:
            raise CommandError("; ".join(report["late"]), returncode=LATE_STATUS)

    def _tell(self, report: dict[str, Any]) -> None:
        for pool in report["pools"]:
            self.stdout.write(f"pool {pool['name']}: {_fleet(pool)}")
            for row in pool["queues"]:
                counts = f"{row['queued']:>9,} queued {row['running']:>7,} running"
                self.stdout.write(f"  {row['priority']:<12} {counts}   {_oldest(row)}")
        if not report["pools"]:
            self.stdout.write("No pool yet: the first agent makes the one it names.")
        self.stdout.write(f"{report['dead_letters']:,} dead letters in all pools")


def _fleet(pool: dict[str, Any]) -> str:
    lost = f", {pool['workers_lost']} lost" if pool["workers_lost"] else ""
    tickets = "Redis does not answer" if pool["tickets"] is None else f"tickets: {pool['tickets']}"
    most = pool["max_running_tasks"]
    limit = "" if most is None else f", at most {most:,} tasks at once"
    return (
        f"{pool['workers']} workers{lost}, {pool['slots_busy']:,} of {pool['slots']:,} slots busy, "
        f"{tickets}{limit}"
    )


def _oldest(row: dict[str, Any]) -> str:
    if row["oldest_seconds"] is None:
        return "nothing waits"
    late = "  LATE" if row["late"] else ""
    waited, bound = duration(row["oldest_seconds"]), duration(row["bound_seconds"])
    return f"oldest waits {waited}, bound {bound}{late}"
