"""Test runs that begin with every library imported, so that a run costs its tests and little else.

``Nursery`` asks; this module, run as a program, is the process that forks for each run. DAEF's
own modules are imported after the fork, from the tree as it is then.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pytest

LIBRARIES = (
    "django.contrib.admin",
    "django.db.backends.postgresql.base",
    "django.test",
    "google.protobuf",
    "grpc",
    "hypothesis.stateful",
    "msgspec",
    "psutil",
    "psycopg",
    "redis",
    "rest_framework",
    "rq",
)
"""What most tests import; none of it may look at Django's settings, which are the tree's."""


class Run(NamedTuple):
    """pytest's exit status (None when it took too long) and what it printed."""

    status: int | None
    output: str


class Nursery:
    """A forking process beside this one, for as long as the ``with`` block lasts."""

    def __init__(self, tree: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.nursery"],
            cwd=tree,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(self, arguments: Sequence[str], *, seconds: float) -> Run:
        """Run pytest in the tree. Raises RuntimeError when the process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([arguments, seconds]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that forks has ended")
        return Run(*json.loads(answer))


def main() -> None:
    """Fork for each line that comes in, until there are no more."""
    for library in LIBRARIES:
        importlib.import_module(library)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    for line in sys.stdin:
        arguments, seconds = json.loads(line)
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            status = _forked(arguments, seconds, output.fileno())
            output.seek(0)
            answers.write(json.dumps([status, output.read()]) + "\n")


def _forked(arguments: Sequence[str], seconds: float, output: int) -> int | None:
    child = os.fork()
    if child == 0:
        _run(arguments, output)
    ended = _wait(child, time.monotonic() + seconds)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return ended if ended is not None else _wait(child, None)


def _run(arguments: Sequence[str], output: int) -> None:
    status = 99
    try:
        os.setsid()
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = int(pytest.main(list(arguments)))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _wait(child: int, until: float | None) -> int | None:
    """The child's exit status; None when it was ended, or goes on past ``until``."""
    while True:
        ended, status = os.waitpid(child, 0 if until is None else os.WNOHANG)
        if ended:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        if until is not None and time.monotonic() > until:
            return None
        time.sleep(0.01)


if __name__ == "__main__":
    main()
