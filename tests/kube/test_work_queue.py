"""The operator's queue of what is to be looked at."""

import asyncio

import pytest

from kube.work_queue import Key, WorkQueue


@pytest.mark.parametrize("turns", range(4))
def test_workers_end_when_they_are_cancelled_while_something_becomes_due(turns: int):
    async def work(_: Key) -> float | None:
        return None

    async def cancelled_in_the_turn_after_something_was_added() -> set[object]:
        queue = WorkQueue(work)
        queue.add(Key("AIJob", "default", "later"), 60)
        running = asyncio.create_task(queue.run(3))
        for _ in range(6):
            await asyncio.sleep(0)
        queue.add(Key("AIJob", "default", "sooner"), 30)
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        _, pending = await asyncio.wait({running}, timeout=2)
        running.cancel()
        return set(pending)

    assert asyncio.run(cancelled_in_the_turn_after_something_was_added()) == set()
