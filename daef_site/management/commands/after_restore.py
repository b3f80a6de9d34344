from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.events import Door, Origin
from jobs.actions import restoring
from jobs.queries.lookup import JOB_NAME

# Tasks' ids have 43 bits for their job (jobs/states.py); this leaves most of them.
MOST = 10**12


class Command(BaseCommand):
    help = (
        "Says that the database was restored, where that cannot be seen: from a copy of its files "
        "or of the whole machine. Every worker has to register anew, running tasks are queued "
        "again at no cost to them, job numbers are left out. Dumps and recovery to a point in "
        "time are recognised at start without it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--next-job",
            metavar="JOB",
            default="job-1",
            help="the least name of the next job, where a million numbers left out are too few",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = JOB_NAME.fullmatch(options["next_job"])
        number = int(found[1]) if found else 0
        if not 0 < number < MOST:
            raise CommandError(f"--next-job: write a name from job-1 to job-{MOST}", returncode=2)
        self.stdout.write(str(restoring.declare(Origin(Door.COMMAND), next_job=number)))
