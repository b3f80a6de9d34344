"""What ``parameters`` of a job may hold by its type: one table, for the check and for the schema.

Pure: no Django, no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.errors import InvalidRequest

MOST_TOKENS = 32_768
"""Most output a chat executor allows."""

MOST_CAUSES = 100
"""Labels a cluster task may spawn; it looks for 40 unless asked for more."""


class Parameter(Protocol):
    """One parameter; null is as good as leaving it out."""

    def allows(self, value: Any) -> bool:
        """Whether the parameter can be this, null aside."""

    @property
    def remedy(self) -> str:
        """What to write instead."""

    def schema(self) -> dict[str, Any]:
        """JSON schema of the values it takes."""


@dataclass(frozen=True)
class WholeNumber:
    """A whole number within bounds, both allowed."""

    least: int
    most: int

    def allows(self, value: Any) -> bool:
        """Whether the value is such a number; true and false are none."""
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return is_number and self.least <= value <= self.most

    @property
    def remedy(self) -> str:
        """Both bounds."""
        return f"must be a whole number from {self.least:,} to {self.most:,}"

    def schema(self) -> dict[str, Any]:
        """JSON schema of the values it takes."""
        return {"type": ["integer", "null"], "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number:
    """A number within bounds, both allowed."""

    least: float
    most: float

    def allows(self, value: Any) -> bool:
        """Whether the value is such a number; true and false are none."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.least <= value <= self.most

    @property
    def remedy(self) -> str:
        """Both bounds."""
        return f"must be a number from {self.least:g} to {self.most:g}"

    def schema(self) -> dict[str, Any]:
        """JSON schema of the values it takes."""
        return {"type": ["number", "null"], "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Words:
    """Any text."""

    remedy: str = "must be text"

    def allows(self, value: Any) -> bool:
        """Whether the value is text."""
        return isinstance(value, str)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the values it takes."""
        return {"type": ["string", "null"]}


COLUMNS: Mapping[str, Parameter] = {"text_column": Words(), "id_column": Words()}
"""Where documents come from a CSV file."""

PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "chat": {
        "max_tokens": WholeNumber(1, MOST_TOKENS),
        "temperature": Number(0, 2),
        "system": Words(),
        "group_documents": WholeNumber(1, 1_000),
        "group_tokens": WholeNumber(20, 100_000),
        **COLUMNS,
    },
    "analyze": {
        "minimum": WholeNumber(1, MOST_CAUSES),
        "maximum": WholeNumber(1, MOST_CAUSES),
        **COLUMNS,
    },
    "embed": COLUMNS,
    "batch": {},
    "pipeline": {},
}
"""By job type; a misspelt one would be silently lost."""


def check_job_parameters(job_type: str, given: Mapping[str, Any]) -> None:
    """Raises InvalidRequest naming the first parameter that is unknown or cannot be used."""
    known = PARAMETERS[job_type]
    for name, value in given.items():
        field = f"parameters.{name[:100]}"
        if name not in known:
            names = ", ".join(known) or "no parameters; put them into the tasks or requests"
            raise InvalidRequest.field(
                field, f"jobs of type {job_type!r} do not know it; they take {names}"
            )
        if value is not None and not known[name].allows(value):
            raise InvalidRequest.field(field, known[name].remedy)
