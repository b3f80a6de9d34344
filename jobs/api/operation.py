"""What an endpoint takes and answers: declared once, obeyed by the view, shown in the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.api.query import Parameter

READ_PROBLEMS: Final = (400, 401, 403, 404, 503)
WRITE_PROBLEMS: Final = (400, 401, 403, 404, 409, 413, 415, 503)


@dataclass(frozen=True)
class Answer:
    """A successful answer: `shape` names a component, or is empty for other media types.

    `also` names what is answered in its place, as the query asks.
    """

    status: int = 200
    shape: str = ""
    media_types: tuple[str, ...] = ("application/json",)
    description: str = ""
    headers: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of an endpoint.

    `body` names a component and `body_types` what may carry it, `body_optional` that it may be
    left out; `form` is the component where a multipart form does.
    """

    summary: str
    answers: tuple[Answer, ...] = (Answer(),)
    query: Mapping[str, Parameter] = field(default_factory=dict)
    problems: tuple[int, ...] = READ_PROBLEMS
    body: str = ""
    body_types: tuple[str, ...] = ()
    body_optional: bool = False
    headers: tuple[str, ...] = ()
    form: str = ""
    examples: Mapping[str, Any] = field(default_factory=dict)
