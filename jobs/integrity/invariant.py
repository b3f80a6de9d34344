"""What a rule is, and what breaks one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, and the statement whose rows break it (first column: what breaks it)."""

    name: str
    rule: str
    statement: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule with some of what breaks it."""

    name: str
    rule: str
    found: tuple[str, ...]
