"""Huey: the module for ``huey_consumer``, and ``producer``."""

from __future__ import annotations

import os

from huey import RedisHuey

from benchmarks.peer_programs import producing, work

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS_URL"])


@huey.task()
def run(number: int, milliseconds: int = 0) -> dict[str, int]:
    """The work, as a Huey task; its result is stored."""
    return work.run(number, milliseconds)


def _many(numbers: range, milliseconds: int) -> None:
    # It has no call for many.
    for number in numbers:
        run(number, milliseconds)


def main(_arguments: list[str]) -> None:
    """Produce."""
    producing.serve(_many, lambda number: run(number))
