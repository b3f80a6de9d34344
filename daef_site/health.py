"""``/healthz`` (the process lives) and ``/readyz`` (it can serve): plain JSON, no token."""

import os
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from daef_site import VERSION
from queueing.rq_client import QueueUnavailable, TicketQueue

_applied = threading.Event()


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """That this process answers, and its version."""
    return JsonResponse({"status": "ok", "pid": os.getpid(), "version": VERSION})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether database, migrations and Redis are there: 200, else 503 naming what is not."""
    checks = {name: _outcome(check) for name, check in CHECKS.items()}
    ready = all(outcome == "ok" for outcome in checks.values())
    return JsonResponse(
        {"status": "ready" if ready else "not_ready", "checks": checks},
        status=200 if ready else 503,
        headers={} if ready else {"Retry-After": "1"},
    )


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except DatabaseError:
        return "the database does not answer"
    except QueueUnavailable:
        return "Redis does not answer"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return "ok"


def _migrations() -> str:
    # Loading every migration is slow, and what is applied once stays so for this process.
    if not _applied.is_set():
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return f"{len(waiting)} migrations wait; run `python manage.py migrate`"
        _applied.set()
    return "ok"


def _durability() -> str:
    """That an acknowledged commit survives a power cut, unless a private store was asked for."""
    store = settings.DAEF_FABRIC.store if settings.DAEF_FABRIC else settings.DAEF_STORE
    if store == "memory":
        return "ok"
    with connection.cursor() as cursor:
        cursor.execute(
            "select name from pg_settings where setting = 'off' and name = any(%s)",
            [["fsync", "synchronous_commit", "full_page_writes"]],
        )
        off = [name for (name,) in cursor.fetchall()]
    return f"PostgreSQL has {', '.join(off)} off; switch it on" if off else "ok"


def _redis() -> str:
    if not settings.DAEF_REDIS_URL:
        return "no Redis is known"
    policy = TicketQueue().eviction_policy()
    return "ok" if policy == "noeviction" else f"maxmemory-policy is {policy}, must be noeviction"


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "durability": _durability,
    "redis": _redis,
}
