"""Procrastinate: ``schema``, ``worker CONCURRENCY`` or ``producer``."""

from __future__ import annotations

import logging
import os

import uvloop
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from benchmarks.peer_programs import producing, work

CHUNK = 1_000
DSN = os.environ["BENCH_POSTGRES_DSN"]


def application(connector: PsycopgConnector | SyncPsycopgConnector) -> App:
    """The application with its one task."""
    app = App(connector=connector)
    app.task(name="run", queue="bench")(work.run_async)
    return app


async def _work(concurrency: int) -> None:
    app = application(PsycopgConnector(conninfo=DSN))
    async with app.open_async():
        await app.run_worker_async(queues=["bench"], concurrency=concurrency)


def _produce() -> None:
    app = application(SyncPsycopgConnector(conninfo=DSN))
    with app.open():
        task = app.tasks["run"]

        def many(numbers: range, milliseconds: int) -> None:
            for start in range(0, len(numbers), CHUNK):
                chunk = numbers[start : start + CHUNK]
                task.batch_defer(*({"number": n, "milliseconds": milliseconds} for n in chunk))

        producing.serve(many, lambda number: task.defer(number=number))


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    logging.basicConfig(level=logging.WARNING)
    if arguments[0] == "schema":
        app = application(SyncPsycopgConnector(conninfo=DSN))
        with app.open():
            app.schema_manager.apply_schema()
    elif arguments[0] == "worker":
        uvloop.run(_work(int(arguments[1])))
    else:
        _produce()
