"""Kind `witness`: gives its input back with the lease it ran under, and notes that it ran."""

import json
import os
import time
from pathlib import Path

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result

STEP_SECONDS = 0.05
"""How often a sleeping task looks whether it was cancelled."""


def run(context: TaskContext) -> Result:
    """The result is ``{"value", "epoch"}``. Parameter ``sleep_ms`` as of kind `echo`.

    Each start is one line of `executions.jsonl` in the data folder: task, epoch, pid, time.
    """
    task = context.task
    _note({"task": task.id, "epoch": task.lease_epoch, "pid": os.getpid(), "at": time.time()})
    end = time.monotonic() + float(task.parameters.get("sleep_ms", 0)) / 1000
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        context.check()
    return Result({"value": task.input, "epoch": task.lease_epoch})


def _note(line: dict[str, float]) -> None:
    path = Path(os.environ.get("DAEF_DATA_DIR", ".daef")) / "executions.jsonl"
    # One write to a file opened for appending: lines of several runners never mix.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)
