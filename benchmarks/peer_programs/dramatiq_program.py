"""Dramatiq: the module for its command, and ``producer``."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

from benchmarks.peer_programs import producing, work

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_REDIS_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def run(number: int, milliseconds: int = 0) -> dict[str, int]:
    """The work, as an actor."""
    return work.run(number, milliseconds)


def _many(numbers: range, milliseconds: int) -> None:
    # It has no call for many.
    for number in numbers:
        run.send(number, milliseconds)


def main(_arguments: list[str]) -> None:
    """Produce."""
    producing.serve(_many, lambda number: run.send(number))
