"""What a policy and an endpoint say, as plain values."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from jobs.errors import InvalidRequest
from jobs.states import PRIORITIES

TYPES = ("chat", "analyze", "batch", "embed", "pipeline")
"""The job types there are."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=1_000_000_000)]


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A place where models answer; prices in micro-USD per million tokens."""

    name: str
    backend: str
    models: tuple[str, ...]
    input_price: int
    output_price: int
    location: str = "local"


class PolicySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What jobs under a policy may use and spend; ``["*"]`` allows every name."""

    pool: str = "default"
    types: list[str] = msgspec.field(default_factory=lambda: list(TYPES))
    priorities: list[str] = msgspec.field(default_factory=lambda: list(PRIORITIES))
    models: list[str] = msgspec.field(default_factory=lambda: ["*"])
    locations: list[str] = msgspec.field(default_factory=lambda: ["*"])
    chat_model: str = "smollm2-135m"
    embedding_model: str = "minilm-l6-v2"
    max_tasks: Positive = 50_000
    max_documents: Positive = 10_000
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    """None leaves it to DAEF_REDIS_DEADLETTER_MAX."""
    limit_usd: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = 10.0
    schedule_to_start_seconds: PositiveSeconds | None = None
    start_to_close_seconds: PositiveSeconds = 300.0
    schedule_to_close_seconds: PositiveSeconds | None = 86_400.0
    job_deadline_seconds: PositiveSeconds | None = None
    max_parallelism: Positive | None = None

    def allows_model(self, model: str) -> bool:
        """Whether jobs may use this model."""
        return "*" in self.models or model in self.models

    def allows_location(self, location: str) -> bool:
        """Whether data may go to this location."""
        return "*" in self.locations or location in self.locations


ENTERPRISE_DEFAULT = PolicySpec()
"""The policy a new fabric starts with."""


def parse_policy(text: str | bytes) -> PolicySpec:
    """Read a policy's JSON. Raises InvalidRequest naming the field."""
    try:
        spec = msgspec.json.decode(text, type=PolicySpec)
    except msgspec.ValidationError as error:
        raise InvalidRequest.field("spec", str(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest.field("spec", f"is not JSON: {error}") from None
    check_policy(spec)
    return spec


def check_policy(spec: PolicySpec) -> None:
    """Raise InvalidRequest for types and priorities that there are not."""
    _check_known("types", spec.types, TYPES)
    _check_known("priorities", spec.priorities, tuple(PRIORITIES))


def _check_known(field: str, names: list[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            text = f"{name[:100]!r} is not known; use some of: {', '.join(known)}"
            raise InvalidRequest.field(f"spec.{field}", text)
