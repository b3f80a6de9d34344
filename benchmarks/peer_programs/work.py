"""The work itself, the same for everybody: nothing, or some milliseconds of waiting."""

from __future__ import annotations

import asyncio
import os
import time

from benchmarks.peer_programs.run_log import RunLog

log = RunLog(os.environ["BENCH_RUNS"])


def run(number: int, milliseconds: int = 0) -> dict[str, int]:
    """Wait, note that the task ran, give the input back."""
    if milliseconds:
        time.sleep(milliseconds / 1000)
    log.ran()
    return {"x": number}


async def run_async(number: int, milliseconds: int = 0) -> dict[str, int]:
    """The same for peers whose tasks are coroutines."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)
    log.ran()
    return {"x": number}
