"""Celery: the application for ``celery worker``, and ``producer``."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.peer_programs import producing, work

app = Celery("bench", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    # Its manual's advice for many short tasks is a large one (the default is 4).
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.run")
def run(number: int, milliseconds: int = 0) -> dict[str, int]:
    """The work, as a Celery task."""
    return work.run(number, milliseconds)


def _many(numbers: range, milliseconds: int) -> None:
    # It has no call for many.
    for number in numbers:
        run.delay(number, milliseconds)


def main(_arguments: list[str]) -> None:
    """Produce."""
    producing.serve(_many, lambda number: run.delay(number))
