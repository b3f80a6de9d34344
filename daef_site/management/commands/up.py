import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from daef_site import processes
from daef_site.management.commands.gateway import start


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 9999")
    return int(text)


def _slots(text: str) -> int:
    if not (number := _count(text)):
        raise argparse.ArgumentTypeError("an agent needs at least one slot")
    return number


class Command(BaseCommand):
    help = "The local fabric in one terminal: stores, HTTP, control plane and agents."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--agents", type=_count, default=1, help="how many agents (1)")
        parser.add_argument("--slots", type=_slots, help="slots of each agent (one per core)")

    def handle(self, *args: Any, **options: Any) -> None:
        start(processes.Wish(agents=options["agents"], slots=options["slots"], alone=True))
