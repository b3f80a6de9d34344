"""Whether a policy admits a request, and within which limits."""

from dataclasses import dataclass
from decimal import Decimal

from jobs.errors import FieldError, PolicyDenied
from jobs.planner.request import JobRequest
from jobs.policies.policy import PolicySpec
from jobs.states import PRIORITIES

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an admitted job may use; seconds, nano-USD, None for no limit."""

    pool: str
    priority: int
    max_attempts: int
    max_parallelism: int | None
    limit_nano_usd: int | None
    schedule_to_start_seconds: float | None
    start_to_close_seconds: float
    schedule_to_close_seconds: float | None
    deadline_seconds: float | None
    max_failed_percent: float | None


def admit(request: JobRequest, policy: PolicySpec, *, default_max_attempts: int) -> Limits:
    """The limits of a request under its policy: it may tighten them, never widen.

    ``default_max_attempts`` holds where neither policy nor request names any. Raises PolicyDenied
    that names the field and the bound.
    """
    _require("type", request.type, policy.types)
    _require("priority", request.priority, policy.priorities)
    asked_usd = request.budget.limit_usd if request.budget else None
    limit_usd = _tightest("budget.limit_usd", asked_usd, policy.limit_usd)
    return Limits(
        pool=policy.pool,
        priority=PRIORITIES[request.priority],
        max_attempts=int(
            _tightest("max_attempts", request.max_attempts, policy.max_attempts)
            or default_max_attempts
        ),
        max_parallelism=_whole(
            _tightest("max_parallelism", request.max_parallelism, policy.max_parallelism)
        ),
        limit_nano_usd=None if limit_usd is None else _nano(limit_usd),
        schedule_to_start_seconds=policy.schedule_to_start_seconds,
        start_to_close_seconds=policy.start_to_close_seconds,
        schedule_to_close_seconds=policy.schedule_to_close_seconds,
        deadline_seconds=_tightest(
            "deadline_seconds", request.deadline_seconds, policy.job_deadline_seconds
        ),
        max_failed_percent=request.max_failed_percent,
    )


def _require(field: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        raise _denied(
            field, f"the policy does not allow {value!r}; it allows: {', '.join(allowed)}"
        )


def _tightest(field: str, asked: float | None, bound: float | None) -> float | None:
    if asked is not None and bound is not None and asked > bound:
        raise _denied(field, f"the policy allows at most {bound:,}, not {asked:,}")
    return bound if asked is None else asked


def _denied(field: str, text: str) -> PolicyDenied:
    return PolicyDenied(f"{field}: {text}", fields=[FieldError(field, text)])


def _nano(usd: float) -> int:
    """Nano-USD of the amount as it was written; a float's product would be one short at times."""
    return int(Decimal(repr(usd)) * NANO)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
