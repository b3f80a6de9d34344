"""How far a long command is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Shown(Protocol):
    """Where progress is shown."""

    def advance(self, count: int, told: str) -> None:
        """So many more are done; ``told`` sums up."""

    def waiting(self, seconds: int) -> None:
        """Nothing is done for so long."""


class _Lines:
    def __init__(self, total: int, stream: Any) -> None:
        self._total = total
        self._stream = stream
        self._done = 0

    def advance(self, count: int, told: str) -> None:
        self._done += count
        self._stream.write(f"{self._done:,} of {self._total:,}: {told}")

    def waiting(self, seconds: int) -> None:
        self._stream.write(f"waiting {seconds} s for the rate")


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def advance(self, count: int, told: str) -> None:
        self._progress.update(self._task, advance=count, description=told)

    def waiting(self, seconds: int) -> None:
        self._progress.update(self._task, description=f"waiting {seconds} s for the rate")


@contextmanager
def shown_progress(total: int, stream: Any) -> Iterator[Shown]:
    """Show progress towards ``total`` on ``stream``, as it fits there."""
    if not stream.isatty():
        yield _Lines(total, stream)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, total)
