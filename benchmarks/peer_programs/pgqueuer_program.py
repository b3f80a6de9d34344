"""PgQueuer: ``schema``, ``worker BATCH`` or ``producer``, on asyncpg and uvloop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peer_programs import producing, work

CHUNK = 1_000
DSN = os.environ["BENCH_POSTGRES_DSN"]


async def _work(batch: int) -> None:
    application = PgQueuer.from_asyncpg_connection(await asyncpg.connect(DSN))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, application.shutdown.set)

    @application.entrypoint("run")
    async def run(job: Job) -> None:
        assert job.payload is not None
        await work.run_async(*json.loads(job.payload))

    await application.run(batch_size=batch)


async def _install() -> None:
    connection = await asyncpg.connect(DSN)
    await Queries.from_asyncpg_connection(connection).install()
    await connection.close()


def _produce() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        queries = Queries.from_asyncpg_connection(runner.run(asyncpg.connect(DSN)))

        async def many(numbers: range, milliseconds: int) -> None:
            for start in range(0, len(numbers), CHUNK):
                chunk = numbers[start : start + CHUNK]
                payloads: list[bytes | None] = [b"[%d, %d]" % (n, milliseconds) for n in chunk]
                await queries.enqueue(["run"] * len(chunk), payloads, [0] * len(chunk))

        producing.serve(
            lambda numbers, milliseconds: runner.run(many(numbers, milliseconds)),
            lambda number: runner.run(queries.enqueue("run", b"[%d, 0]" % number)),
        )


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    logging.basicConfig(level=logging.WARNING)
    if arguments[0] == "schema":
        uvloop.run(_install())
    elif arguments[0] == "worker":
        uvloop.run(_work(int(arguments[1])))
    else:
        _produce()
