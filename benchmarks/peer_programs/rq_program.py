"""RQ: ``worker default|simple`` or ``producer``."""

from __future__ import annotations

import logging
import os

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from benchmarks.peer_programs import producing, work

CHUNK = 1_000


def main(arguments: list[str]) -> None:
    """Work, or produce, on the queue ``bench``."""
    connection = Redis.from_url(os.environ["BENCH_REDIS_URL"])
    queue = Queue("bench", connection=connection)
    if arguments[0] == "worker":
        logging.getLogger("rq.worker").setLevel(logging.WARNING)
        kind = SimpleWorker if arguments[1] == "simple" else Worker
        kind([queue], connection=connection).work(logging_level="WARNING")
    else:
        producing.serve(
            lambda numbers, ms: _many(queue, numbers, ms),
            lambda number: queue.enqueue(work.run, number),
        )


def _many(queue: Queue, numbers: range, milliseconds: int) -> None:
    for start in range(0, len(numbers), CHUNK):
        queue.enqueue_many(
            [
                Queue.prepare_data(work.run, (number, milliseconds))
                for number in numbers[start : start + CHUNK]
            ]
        )
