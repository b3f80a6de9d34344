"""What an executor hands back: a result, or one exception that says what kind of failure it was.

The class of the exception decides what the control plane does next (retry, wait, give up); the
code is stable and made for machines, the message is for people and never carries a payload.
"""

from dataclasses import dataclass
from typing import ClassVar


class TaskError(Exception):
    """A failure with a stable code. Raise one of the subclasses.

    ``code`` is a word such as ``model_timeout``; ``message`` explains it to people without
    quoting input or output; ``retry_after_seconds`` is set when the other side said how long
    to wait (0 when it did not).
    """

    error_class: ClassVar[str] = "permanent"

    def __init__(self, code: str, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class TransientError(TaskError):
    """Something that another attempt may well not meet: a lost connection, a full disk."""

    error_class = "transient"


class RateLimitedError(TaskError):
    """The model endpoint refused for now because of its rate limit."""

    error_class = "rate_limited"


class OverloadedError(TaskError):
    """The model endpoint is overloaded or unavailable for now."""

    error_class = "overloaded"


class InvalidInputError(TaskError):
    """The task's input or parameters can never work; no attempt will change that."""

    error_class = "invalid_input"


class PermanentError(TaskError):
    """A failure that another attempt would meet again."""

    error_class = "permanent"


class BudgetExceededError(TaskError):
    """The next model call would cost more than the attempt's ceiling."""

    error_class = "budget_exceeded"


class TimeoutExceededError(TaskError):
    """The attempt, or one of its model calls, took longer than it may."""

    error_class = "timeout"


class TaskCancelled(Exception):
    """The task is not wanted any more (cancelled, timed out or taken away); let it through."""


@dataclass(frozen=True)
class Spawn:
    """A task that the running task adds to its job.

    ``name`` is unique in the job, ``input`` is anything JSON can carry, ``parameters`` an
    object, ``model`` the model's name or empty when the kind needs none.
    """

    name: str
    kind: str
    input: object
    parameters: dict[str, object]
    model: str = ""


@dataclass(frozen=True)
class Result:
    """What a task made: ``value`` is anything JSON can carry, ``spawned`` the tasks it adds."""

    value: object
    spawned: tuple[Spawn, ...] = ()


@dataclass(frozen=True)
class UsageEntry:
    """One model call: its number within the attempt (from 0), its tokens and its price.

    ``cost_nano_usd`` is rounded up per call: tokens * price / 1000, the price in micro-USD per
    million tokens.
    """

    call: int
    endpoint: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
