"""``/healthz`` (the process lives) and ``/readyz`` (it can serve): plain JSON, no token."""

import os
from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.checks import ERROR, CheckMessage
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from daef_site import VERSION, store_facts
from daef_site.checks import line
from daef_site.store_checks import (
    durability_findings,
    promises_durability,
    redis_findings,
    schema_findings,
)

_told: dict[str, str | int] = {}


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


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return "ok"


def _migrations() -> str:
    # Loading every migration is slow; what they say is the same until one more is applied.
    newest = store_facts.newest_migration()
    if _told.get("newest") != newest:
        _told["migrations"] = _first_line(schema_findings(store_facts.schema(), migrated=True))
        _told["newest"] = newest
    return str(_told["migrations"])


def _durability() -> str:
    """That an acknowledged commit survives a power cut, unless a private store was asked for."""
    if not promises_durability():
        return "ok"
    return _first_line(durability_findings(store_facts.switched_off()))


def _redis() -> str:
    if not settings.DAEF_REDIS_URL:
        return "no Redis is known"
    facts = store_facts.redis(settings.DAEF_REDIS_URL)
    if facts.policy is None:
        return "Redis does not answer"
    return _first_line(redis_findings(facts))


def _first_line(found: Iterable[CheckMessage]) -> str:
    """The first error with its remedy; warnings are no reason not to serve."""
    return next((line(each) for each in found if each.level >= ERROR), "ok")


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "durability": _durability,
    "redis": _redis,
}
