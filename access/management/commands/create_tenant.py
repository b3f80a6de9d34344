"""``manage.py create_tenant``: make a tenant before its first request does."""

from argparse import ArgumentParser
from typing import Any

from access.actions.tenants import DEFAULT_WEIGHT, create_tenant
from access.command_line import OperatorCommand, command_origin, refusals_told, shell_actor
from access.queries import tenant_document


class Command(OperatorCommand):
    help = """Makes a tenant: an owner of jobs with a share of the fabric. A tenant also comes into
being with its first request, with one share and no limit; this command is for others.
Goes into the audit log.

Examples:
  create_tenant acme
  create_tenant acme --weight 200 --max-running-tasks 50

Exit status: 0 made; 2 refused: a field cannot be used, or the tenant is there."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="1 to 63 small letters, digits and inner hyphens")
        parser.add_argument(
            "--weight",
            type=int,
            default=DEFAULT_WEIGHT,
            help="share in hundredths: 200 gets twice what 100 (the default) gets",
        )
        parser.add_argument(
            "--max-running-tasks",
            type=int,
            metavar="N",
            help="most of its tasks that run at once in each pool; no limit without it",
        )
        parser.add_argument("--reason", default="", help="why; goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_told():
            tenant = create_tenant(
                options["name"],
                actor=shell_actor(),
                weight=options["weight"],
                max_running_tasks=options["max_running_tasks"],
                origin=command_origin(options["reason"]),
            )
        if options["json"]:
            self.print_json(tenant_document(tenant))
        else:
            self.stdout.write(f"made the tenant {tenant.name}")
