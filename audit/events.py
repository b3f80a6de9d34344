"""The words of the audit log: what is recorded, how it ended, through which door it came.

Closed lists, the same as in ``docs/reference/audit-events.md``. Pure: no Django, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What an operator did or tried to do."""

    JOB_CANCEL = "job_cancel"
    JOB_SUSPEND = "job_suspend"
    JOB_RESUME = "job_resume"
    JOB_RETRY = "job_retry"
    LOGIN = "login"
    LOGOUT = "logout"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 (a word, no password)
    TENANT_CREATE = "tenant_create"
    TOKEN_CREATE = "token_create"  # noqa: S105 (a word, no password)
    TOKEN_REVOKE = "token_revoke"  # noqa: S105
    DEAD_LETTER_REQUEUE = "dead_letter_requeue"
    WORKER_DRAIN = "worker_drain"
    POLICY_PUT = "policy_put"
    ENDPOINT_PUT = "endpoint_put"
    TENANT_PUT = "tenant_put"
    POOL_PUT = "pool_put"
    STORE_RESTORED = "store_restored"
    PRUNE = "prune"


class Result(StrEnum):
    """How it ended: done, only tried, refused by a rule, or failed for a fault of the fabric."""

    OK = "ok"
    DRY_RUN = "dry_run"
    REFUSED = "refused"
    ERROR = "error"


class Door(StrEnum):
    """Where a request came in; ``internal`` for code that was called without a door."""

    REST = "rest"
    GRPC = "grpc"
    COMMAND = "command"
    CONSOLE = "console"
    INTERNAL = "internal"


DETAILS: Final[dict[Action, frozenset[str]]] = {
    Action.JOB_CANCEL: frozenset({"code"}),
    Action.JOB_SUSPEND: frozenset({"code"}),
    Action.JOB_RESUME: frozenset({"code"}),
    Action.JOB_RETRY: frozenset({"code", "tasks"}),
    Action.LOGIN: frozenset({"code", "method"}),
    Action.LOGOUT: frozenset({"code"}),
    Action.PASSWORD_CHANGE: frozenset({"code"}),
    Action.TENANT_CREATE: frozenset({"code", "max_running_tasks", "weight"}),
    Action.TOKEN_CREATE: frozenset({"code", "expires_at", "prefix", "scopes"}),
    Action.TOKEN_REVOKE: frozenset({"code", "prefix"}),
    Action.WORKER_DRAIN: frozenset({"code"}),
    Action.POLICY_PUT: frozenset({"code", "fields", "revision"}),
    Action.ENDPOINT_PUT: frozenset({"code", "fields"}),
    Action.TENANT_PUT: frozenset({"code", "fields"}),
    Action.POOL_PUT: frozenset({"code", "fields"}),
    Action.DEAD_LETTER_REQUEUE: frozenset(
        {"cause", "code", "requested", "request_sha256", "requeued", "skipped", "tenants"}
    ),
    Action.PRUNE: frozenset({"artifacts", "code", "days", "jobs", "keys", "tasks"}),
    Action.STORE_RESTORED: frozenset({"changed", "next_job", "tasks", "workers"}),
}
"""What ``details`` of each action may hold: counts and codes, never payloads or secrets."""


@dataclass(frozen=True)
class Origin:
    """How a request reached the fabric, and why.

    ``address`` is the peer's address as the socket says it, ``request_id`` the id in the answer
    and in the log, ``reason`` what the person said; each is empty where there is none.
    """

    door: Door
    address: str = ""
    request_id: str = ""
    reason: str = ""


INTERNAL: Final = Origin(Door.INTERNAL)
