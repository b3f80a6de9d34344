"""What ``POST /v1/admin/workers/{worker}/drain`` takes; a body is not needed."""

from typing import Annotated

import msgspec
from msgspec import Meta

from jobs.planner.requeue import REASON_CHARACTERS
from jobs.planner.strict_json import parse_as


class DrainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a worker is taken out of service; it goes into the audit log."""

    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS)] = ""


def parse_drain(body: bytes) -> DrainRequest:
    """Read a body. Raises MalformedBody or InvalidRequest naming the field."""
    request: DrainRequest = parse_as(body, DrainRequest)
    return request
