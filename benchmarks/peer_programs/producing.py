"""The producer's side of a peer: orders come as lines of JSON, answers go out the same way.

A peer gives two functions: one enqueues many tasks in the fastest way it has, one a single task.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peer_programs.run_log import read

Many = Callable[[range, int], None]
One = Callable[[int], None]
PAUSE_SECONDS = 0.02
"""Between two tasks whose pickup is timed, so that the workers are idle again."""
GIVE_UP_SECONDS = 30.0


def serve(enqueue_many: Many, enqueue_one: One) -> None:
    """Answer orders until standard input ends."""
    _say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "many":
            answer = _timed(
                lambda o=order: enqueue_many(range(o["count"]), o["milliseconds"])  # type: ignore[misc]
            )
        elif order["do"] == "one_by_one":
            answer = _timed(lambda o=order: _one_by_one(enqueue_one, o["count"]))  # type: ignore[misc]
        else:
            answer = {"seconds": [_pickup(enqueue_one, n) for n in range(order["count"])]}
        _say(answer)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _timed(action: Callable[[], None]) -> dict[str, Any]:
    began = time.monotonic()
    action()
    return {"began": began, "ended": time.monotonic()}


def _one_by_one(enqueue_one: One, count: int) -> None:
    for number in range(count):
        enqueue_one(number)


def _pickup(enqueue_one: One, number: int) -> float:
    """Seconds from the call that enqueues a task to the moment it ran."""
    folder = os.environ["BENCH_RUNS"]
    time.sleep(PAUSE_SECONDS)
    before, _ = read(folder)
    began = time.monotonic()
    enqueue_one(number)
    while (now := read(folder))[0] == before:
        if time.monotonic() - began > GIVE_UP_SECONDS:
            raise TimeoutError("a single task did not run")
        time.sleep(0.0005)
    return now[1] - began
