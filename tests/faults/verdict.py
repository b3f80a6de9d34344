"""What a run was and what it broke."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any

import psycopg

from faultpoints import POINTS

MOST_SHOWN = 10

Rows = list[tuple[Any, ...]]
Ask = Callable[..., Rows]


@dataclass
class Verdict:
    """``problems`` is empty when all is well."""

    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """Faults by kind that fired while a task was running."""

    idle_faults: Counter[str] = field(default_factory=Counter)
    """Faults that fired while nothing was running; they count for nothing."""

    figures: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Kinds of faults that cannot be had on this machine, and why."""

    def found(self, what: str, which: list[Any]) -> None:
        """Note something that is broken."""
        if which:
            shown = ", ".join(map(str, which[:MOST_SHOWN]))
            self.problems.append(f"{what}: {len(which)} ({shown})")

    def fired(self, name: str) -> bool:
        """Whether a fault of this kind, or a point of this name, fired at all."""
        return any(
            each == name or each.startswith(f"{name} ")
            for each in (*self.faults, *self.idle_faults)
        )

    def __str__(self) -> str:
        """Figures, faults and problems, for people."""
        lines = [f"{name:<28}{value:g}" for name, value in self.figures.items()]
        lines.append(f"{'faults that counted':<28}{self.faults.total()}")
        lines += [f"  {name:<44}{count}" for name, count in sorted(self.faults.items())]
        lines.append(f"{'faults while idle':<28}{self.idle_faults.total()}")
        never = sorted(point for point in POINTS if not self.fired(point))
        lines.append(f"{'points that never fired':<28}{never}")
        lines += [f"not on this machine: {name}: {why}" for name, why in self.missing.items()]
        return "\n".join([*lines, *(f"BROKEN  {problem}" for problem in self.problems)])


def asker(connection: psycopg.Connection[Any]) -> Ask:
    """A function that runs a statement and answers its rows."""

    def ask(statement: str, *parameters: object) -> Rows:
        return connection.execute(statement, parameters or None).fetchall()

    return ask


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of a JSON lines file, where there is one."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield loads(line)
