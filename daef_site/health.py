"""``/healthz`` (the process lives) and ``/readyz`` (it can serve): plain JSON, no token."""

import os
from collections.abc import Callable, Iterable
from typing import ClassVar

from django.conf import settings
from django.core.checks import ERROR, CheckMessage
from django.db import DatabaseError, connection
from django.http import HttpResponse
from rest_framework.request import Request

from daef_site import VERSION, store_facts
from daef_site.checks import line
from daef_site.store_checks import (
    durability_findings,
    promises_durability,
    redis_findings,
    schema_findings,
)
from jobs.api.base import ApiView, answer
from jobs.api.operation import Answer, Operation

_told: dict[str, str | int] = {}


class ProbeView(ApiView):
    """What probes ask: whoever they are, and whatever they add to the address."""

    scope = "public"
    authentication_classes = ()
    reads_query = False


class HealthView(ProbeView):
    """That this process answers, and its version."""

    operations: ClassVar = {
        "get": Operation("Ask whether the process lives", (Answer(shape="Health"),), problems=())
    }

    def get(self, request: Request) -> HttpResponse:
        """Answer without a look at any store."""
        return answer({"status": "ok", "pid": os.getpid(), "version": VERSION})


class ReadinessView(ProbeView):
    """Whether database, migrations and Redis are there: 200, else 503 naming what is not."""

    operations: ClassVar = {
        "get": Operation(
            "Ask whether it can serve",
            (
                Answer(shape="Readiness"),
                Answer(503, "Readiness", description="Not now.", headers=("Retry-After",)),
            ),
            problems=(),
        )
    }

    def get(self, request: Request) -> HttpResponse:
        """Answer with the outcome of each check."""
        checks = {name: _outcome(check) for name, check in CHECKS.items()}
        ready = all(outcome == "ok" for outcome in checks.values())
        document = {"status": "ready" if ready else "not_ready", "checks": checks}
        response = answer(document, status=200 if ready else 503)
        if not ready:
            response["Retry-After"] = "1"
        return response


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
