"""Kind `witness`: gives its input back with the lease it ran under, and notes that it ran."""

import json
import os
import time
from pathlib import Path

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result, TaskCancelled, TransientError

STEP_SECONDS = 0.05
"""How often a sleeping task looks whether it was cancelled."""


def run(context: TaskContext) -> Result:
    """The result is ``{"value", "epoch"}``.

    Parameters: ``sleep_ms`` as of kind `echo`, ``fail_attempts`` as `attempts` of `fail_attempts`.
    What it does is in `executions.jsonl` of the data folder: one line for its start, one for its
    end (``said`` is "started", "succeeded", "failed" or "stopped"; ``at`` the monotonic clock).
    """
    _note(context, "started")
    try:
        _sleep(context)
    except TaskCancelled:
        _note(context, "stopped")
        raise
    if context.task.attempt <= int(context.task.parameters.get("fail_attempts", 0)):
        _note(context, "failed")
        raise TransientError("test_attempt", "This attempt fails as asked.")
    _note(context, "succeeded")
    return Result({"value": context.task.input, "epoch": context.task.lease_epoch})


def _sleep(context: TaskContext) -> None:
    end = time.monotonic() + float(context.task.parameters.get("sleep_ms", 0)) / 1000
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        context.check()


def _note(context: TaskContext, said: str) -> None:
    line = {
        "task": context.task.id,
        "epoch": context.task.lease_epoch,
        "pid": os.getpid(),
        "at": time.monotonic(),
        "said": said,
    }
    path = Path(os.environ.get("DAEF_DATA_DIR", ".daef")) / "executions.jsonl"
    # One write to a file opened for appending: lines of several runners never mix.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)
