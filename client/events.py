"""Server-sent events: reading them from lines, and what an event is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

END = "end"
"""The last event of a job's stream; its data bears the job's status and reason."""

POLLED = "polled"
"""Made by this client where the fabric has no stream to spare; its data is the job."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job: ``kind`` as in the API, ``data`` parsed from JSON.

    ``id`` is what to resume after; empty for events that cannot be resumed after.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Events from the lines of a ``text/event-stream``; comments and unknown fields are skipped."""
    kind, identifier, data = "message", "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(kind, _parsed("\n".join(data)), identifier)
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "id":
            identifier = value
        elif name == "data":
            data.append(value)


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text}
    return value if isinstance(value, dict) else {"value": value}
