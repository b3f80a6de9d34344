"""The start-up checks of PostgreSQL and Redis: facts in, findings out. Asked by ``checks``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import OperationalError

from daef_site import VERSION, env, store_facts
from daef_site.database.base import NoStore
from daef_site.exposure import exposure
from daef_site.store_facts import PostgresFacts, RedisFacts, SchemaFacts

LEAST_POSTGRES: Final = 14
CLOCK_SECONDS: Final = 5.0
"""Leases live by the database's clock alone; beyond this, times in logs and pages mislead."""

CONTRACT: Final = re.compile(r"\.\d+_contract_(\d+)_(\d+)_")
"""``jobs.0012_contract_0_3_drop_note``: DAEF before 0.3 cannot work with what this leaves."""

ENCRYPTED_MODES: Final = ("require", "verify-ca", "verify-full")
"""Those of libpq's ``sslmode`` that never fall back to an unencrypted connection."""

# Where no pool is used each thread that serves has a session of its own.
UNPOOLED: Final = 48


def store_findings(*, processes: int, migrated: bool) -> list[CheckMessage]:
    """Everything that PostgreSQL and Redis have to be asked for."""
    try:
        found = [
            *postgres_findings(store_facts.postgres(), processes=processes),
            *schema_findings(store_facts.schema(), migrated=migrated),
        ]
    except NoStore:
        raise
    except OperationalError as error:
        found = [_away(error)]
    if settings.DAEF_REDIS_URL:
        found += redis_findings(store_facts.redis(settings.DAEF_REDIS_URL))
    return found


def _away(error: OperationalError) -> CheckMessage:
    return Error(
        f"PostgreSQL: {str(error).strip().splitlines()[0]}.",
        hint="Start that server, or correct DAEF_POSTGRES_DSN.",
        id="daef.E027",
    )


def postgres_findings(facts: PostgresFacts, *, processes: int) -> Iterator[CheckMessage]:
    """What is wrong with the server as our session sees it."""
    if facts.version // 10_000 < LEAST_POSTGRES:
        yield Error(
            f"PostgreSQL: the server is version {facts.version // 10_000}.",
            hint=f"Use version {LEAST_POSTGRES} or later.",
            id="daef.E021",
        )
    if promises_durability():
        yield from durability_findings(facts.switched_off)
    yield from _connections(facts, processes)
    if facts.time_zone.upper() not in ("UTC", "ETC/UTC"):
        yield Error(
            f"PostgreSQL: our sessions run in the time zone {facts.time_zone}, not UTC.",
            hint="Let the pooler between keep TimeZone, or connect to PostgreSQL directly.",
            id="daef.E022",
        )
    # In the embedded store there is no other role, and nobody else reaches it.
    if facts.is_superuser and settings.DAEF_STORE == "postgres" and exposure():
        yield Warning(
            f"PostgreSQL: the role {facts.role} is a superuser, whom the audit log cannot stop.",
            hint=f"Run `alter role {facts.role} nosuperuser`; it has to own its database only.",
            id="daef.W003",
        )
    if abs(facts.clock_ahead_seconds) > CLOCK_SECONDS:
        yield Warning(
            f"PostgreSQL: its clock is {facts.clock_ahead_seconds:+.0f} s from this machine's.",
            hint="Let both follow a time server; leases go by PostgreSQL's clock alone.",
            id="daef.W004",
        )


def promises_durability() -> bool:
    """Whether an acknowledged commit must survive a power cut: not in a private store."""
    store = settings.DAEF_FABRIC.store if settings.DAEF_FABRIC else settings.DAEF_STORE
    return bool(store != "memory")


def durability_findings(switched_off: Mapping[str, str]) -> Iterator[CheckMessage]:
    """Settings without which an acknowledged commit may be lost, by who switched them off."""
    for name, source in switched_off.items():
        yield Error(
            f"PostgreSQL: {name} is off (set by: {source}); accepted jobs could be lost.",
            hint=f"Set {name} = on there and reload or reconnect.",
            id="daef.E020",
        )


def _connections(facts: PostgresFacts, processes: int) -> Iterator[CheckMessage]:
    each = settings.DAEF_POSTGRES_POOL_MAX or UNPOOLED
    if processes * each > facts.connections:
        most = max(1, facts.connections // processes)
        yield Error(
            f"DAEF_POSTGRES_POOL_MAX: {processes} processes with up to {each} connections each "
            f"are more than the {facts.connections} that PostgreSQL has for {facts.role}.",
            hint=f"Set it to {most} or less, or raise max_connections.",
            id="daef.E023",
        )


def schema_findings(facts: SchemaFacts, *, migrated: bool) -> Iterator[CheckMessage]:
    """Whether the database's tables are those of this version."""
    if facts.waiting and migrated:
        yield Error(
            f"PostgreSQL: {len(facts.waiting)} migrations wait, first {facts.waiting[0]}.",
            hint="Start a gateway, which applies them, or run `python manage.py migrate`.",
            id="daef.E024",
        )
    too_new = [name for name in facts.unknown if _needed_version(name) > _version(VERSION)]
    if too_new:
        needed = ".".join(map(str, _needed_version(too_new[-1])))
        yield Error(
            f"PostgreSQL: since {too_new[-1]} the database needs DAEF {needed}; this is {VERSION}.",
            hint=f"Start {needed} or later.",
            id="daef.E025",
        )
    elif facts.unknown:
        yield Warning(
            f"PostgreSQL: a newer DAEF than {VERSION} added {facts.unknown[-1]} to the database.",
            hint="This version can go on; bring the upgrade to its end.",
            id="daef.W006",
        )


def _needed_version(migration: str) -> tuple[int, ...]:
    """What a migration that takes something away has in its name; () for one that only adds."""
    found = CONTRACT.search(migration)
    return tuple(map(int, found.groups())) if found else ()


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def redis_findings(facts: RedisFacts) -> Iterator[CheckMessage]:
    """Whether Redis keeps what it is given, and for whom."""
    if facts.policy == "":
        yield Warning(
            "Redis: it does not tell its maxmemory-policy.",
            hint="Make sure that it is noeviction.",
            id="daef.W005",
        )
    elif facts.policy not in (None, "noeviction"):
        yield Error(
            f"Redis: maxmemory-policy is {facts.policy}, so tickets would be thrown away.",
            hint="Run `CONFIG SET maxmemory-policy noeviction` and keep it in its configuration.",
            id="daef.E026",
        )
    if facts.serves_strangers and _redis_is_far():
        yield _open_redis("answers without a password")


def redis_password() -> Iterator[CheckMessage]:
    """Whether our settings name a far Redis that anybody may use."""
    if (
        settings.DAEF_QUEUE == "redis"
        and _redis_is_far()
        and not env.has_password(settings.DAEF_REDIS_URL)
    ):
        yield _open_redis("is named without a password")


def in_the_clear() -> Iterator[CheckMessage]:
    """Whether our settings let passwords and documents travel to far stores unencrypted."""
    database = settings.DATABASES["default"]
    host, mode = str(database.get("HOST") or ""), _ssl_mode(database)
    if settings.DAEF_STORE == "postgres" and _is_far(host) and mode not in ENCRYPTED_MODES:
        yield _clear(
            f"DAEF_POSTGRES_DSN: {host} is not this machine, and sslmode={mode}",
            "Add sslmode=verify-full (or require) to it",
        )
    if (
        settings.DAEF_QUEUE == "redis"
        and _redis_is_far()
        and not settings.DAEF_REDIS_URL.startswith("rediss:")
    ):
        host = env.host_of(settings.DAEF_REDIS_URL)
        yield _clear(
            f"DAEF_REDIS_ADDR: {host} is not this machine, and the address is no rediss:// URL",
            "Write rediss://",
        )


def _ssl_mode(database: Mapping[str, Any]) -> str:
    """libpq's ``sslmode``; its default takes what the server offers, encrypted or not."""
    return str(database.get("OPTIONS", {}).get("sslmode", "prefer"))


def _is_far(host: str) -> bool:
    return bool(host) and not host.startswith("/") and not env.is_loopback(host)


def _clear(what: str, remedy: str) -> CheckMessage:
    return Warning(
        f"{what}, so that passwords and documents may travel in the clear.",
        hint=f"{remedy} unless the network is private.",
        id="daef.W007",
    )


def _redis_is_far() -> bool:
    return not env.is_loopback(env.host_of(settings.DAEF_REDIS_URL))


def _open_redis(how: str) -> CheckMessage:
    host = env.host_of(settings.DAEF_REDIS_URL)
    return Error(
        f"DAEF_REDIS_ADDR: {host} is not this machine and {how}.",
        hint="Set requirepass (or users) there, and DAEF_REDIS_PASSWORD here.",
        id="daef.E014",
    )
