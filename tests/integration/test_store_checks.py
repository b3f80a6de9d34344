"""An unsafe PostgreSQL or Redis is refused at start, in one line that ends with the remedy."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

import manage
from daef_site import checks, store_checks, store_facts
from daef_site.store_facts import PostgresFacts, RedisFacts, SchemaFacts
from queueing import rq_client
from tests.integration.production import Started, production, refusal

__all__ = ["production"]

SOUND = PostgresFacts(
    version=180_003,
    time_zone="UTC",
    role="daef",
    is_superuser=False,
    connections=97,
    clock_ahead_seconds=0.2,
)


def told(facts: PostgresFacts, processes: int = 2) -> list[str]:
    return [
        checks.line(found) for found in store_checks.postgres_findings(facts, processes=processes)
    ]


def test_a_sound_server_is_nothing_to_speak_of(production):
    assert told(SOUND) == []


@pytest.mark.parametrize(
    ("id", "facts", "names", "remedy"),
    [
        ("daef.E020", {"switched_off": {"fsync": "default"}}, "fsync is off", "fsync = on"),
        ("daef.E021", {"version": 130_021}, "version 13", "version 14 or later"),
        ("daef.E022", {"time_zone": "Europe/Berlin"}, "Europe/Berlin", "keep TimeZone"),
        ("daef.E023", {"connections": 95}, "the 95 that", "Set it to 47 or less"),
        ("daef.W003", {"is_superuser": True}, "role daef is a superuser", "nosuperuser"),
        ("daef.W004", {"clock_ahead_seconds": -7200.0}, "-7200 s", "time server"),
    ],
)
def test_an_unsound_server_is_named(
    production, id: str, facts: dict[str, Any], names: str, remedy: str
):
    (line,) = told(SOUND._replace(**facts))
    assert names in line
    assert remedy in line
    assert line.endswith(f"({id})")


def test_the_embedded_store_has_no_other_role(production):
    production.DAEF_STORE = "embedded"
    assert told(SOUND._replace(is_superuser=True)) == []


@pytest.fixture
def altered(test_stores, transactional_db, production) -> Iterator[psycopg.Cursor]:
    """A superuser's session that changes roles and databases; what it set is reset."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(test_stores.postgres_dsn, dbname=name, autocommit=True) as session:
        connection.close()
        yield session.cursor()
        session.execute("alter role daef reset all")
        session.execute(f"alter database {name} reset all")
        session.execute("alter role daef connection limit -1")
    connection.close()


@pytest.mark.parametrize(
    ("place", "source"), [("role daef", "user"), ("database {database}", "database")]
)
def test_durability_that_a_role_or_database_switched_off_is_refused(
    altered, capsys, monkeypatch, place: str, source: str
):
    place = place.format(database=connection.settings_dict["NAME"])
    altered.execute(f"alter {place} set synchronous_commit = off")
    (line,) = [
        each
        for each in refusal(capsys, monkeypatch, "controlplane")
        if "synchronous_commit" in each
    ]
    assert f"(set by: {source})" in line
    assert "daef.E020" in line


def test_the_server_that_switched_durability_off_is_refused(altered, capsys, monkeypatch):
    """The tests' own server has no fsync, which only a private store may."""
    lines = refusal(capsys, monkeypatch, "controlplane")
    assert [words in line for words, line in zip(("fsync", "full_page_writes"), lines, strict=True)]
    assert "set by: command line" in lines[0]


def test_a_server_that_is_away_is_named(altered, capsys, monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", 1)
        (line,) = refusal(capsys, patch, "controlplane")
    assert "port 1" in line
    assert "correct DAEF_POSTGRES_DSN" in line
    assert line.endswith("(daef.E027)")


def test_a_private_store_promises_nothing(altered, production, monkeypatch):
    production.DAEF_STORE = "memory"
    monkeypatch.setattr(sys, "argv", ["manage.py", "controlplane"])
    with pytest.raises(Started):
        manage.main()


def test_a_role_that_may_not_have_the_connections_is_refused(altered, production):
    production.DAEF_STORE, production.DAEF_POSTGRES_POOL_MAX = "memory", 48
    altered.execute("alter role daef connection limit 60")
    with pytest.raises(checks.UnsafeConfiguration, match=r"the 60 that .* Set it to 30 or less"):
        checks.require_safe_stores(processes=2, migrated=True)


def test_the_session_is_asked_for_its_time_zone(altered):
    connection.ensure_connection()
    assert store_facts.postgres().time_zone == "UTC"
    with connection.cursor() as cursor:
        cursor.execute("set timezone to 'Asia/Tokyo'")
    assert store_facts.postgres().time_zone == "Asia/Tokyo"


def test_the_servers_clock_is_ours_here(altered):
    assert abs(store_facts.postgres().clock_ahead_seconds) < 0.1


def test_a_clock_that_differs_is_measured(altered, monkeypatch):
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() + 100)
    assert -100.1 < store_facts.postgres().clock_ahead_seconds < -60
    monkeypatch.setattr(time, "time", lambda: ours() - 100)
    assert 60 < store_facts.postgres().clock_ahead_seconds < 100.1


def test_migrations_that_wait_are_refused_by_a_control_plane(
    altered, production, capsys, monkeypatch
):
    production.DAEF_STORE = "memory"
    first = "app = 'audit' and name = '0001_initial'"
    altered.execute(f"update django_migrations set app = 'away' where {first}")
    try:
        (line,) = refusal(capsys, monkeypatch, "controlplane")
    finally:
        altered.execute("update django_migrations set app = 'audit' where app = 'away'")
    assert "1 migrations wait, first audit.0001_initial" in line
    assert "manage.py migrate" in line
    assert "daef.E024" in line


def test_a_gateway_applies_what_waits(production):
    facts = SchemaFacts(waiting=("jobs.0009_next",))
    assert list(store_checks.schema_findings(facts, migrated=False)) == []


def schema_told(*unknown: str) -> list[str]:
    facts = SchemaFacts(unknown=unknown)
    return [checks.line(found) for found in store_checks.schema_findings(facts, migrated=True)]


def test_what_a_newer_version_added_is_warned_of(production):
    (line,) = schema_told("jobs.0900_next_contract", "jobs.0901_contract_0_1_drop_old")
    assert "a newer DAEF" in line
    assert "jobs.0901" in line
    assert line.endswith("(daef.W006)")


def test_what_a_newer_version_took_away_is_refused(production):
    (line,) = schema_told("jobs.0901_contract_0_2_drop_old", "jobs.0902_more")
    assert "since jobs.0901_contract_0_2_drop_old the database needs DAEF 0.2" in line
    assert "Start 0.2 or later." in line
    assert line.endswith("(daef.E025)")


def test_an_applied_migration_that_we_do_not_know_is_found(altered):
    altered.execute(
        "insert into django_migrations (app, name, applied) values "
        "('jobs', '0900_contract_0_9_x', now()), ('elsewhere', '0001_initial', now())"
    )
    try:
        assert store_facts.schema() == SchemaFacts(unknown=("jobs.0900_contract_0_9_x",))
    finally:
        altered.execute("delete from django_migrations where name = '0900_contract_0_9_x'")
        altered.execute("delete from django_migrations where app = 'elsewhere'")


# ── Redis ─────────────────────────────────────────────────────────────────────────────────────────


def redis_told(facts: RedisFacts) -> list[str]:
    return [checks.line(found) for found in store_checks.redis_findings(facts)]


def test_redis_that_evicts_is_refused(altered, production, capsys, monkeypatch, redis_url):
    production.DAEF_STORE = "memory"
    production.DAEF_REDIS_URL = redis_url
    client = rq_client.connect(redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (line,) = refusal(capsys, monkeypatch, "controlplane")
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.close()
    assert "maxmemory-policy is allkeys-lru" in line
    assert "CONFIG SET maxmemory-policy noeviction" in line
    assert "daef.E026" in line


def test_redis_that_does_not_tell_its_policy_is_warned_of(test_stores, production, redis_url):
    facts = store_facts.redis(test_stores.agent_redis_url)
    assert facts.policy == "noeviction"
    client = rq_client.connect(redis_url)
    client.execute_command("ACL", "SETUSER", "mute", "on", ">mute", "~*", "+ping")
    try:
        address = redis_url.rpartition("@")[2]
        facts = store_facts.redis(f"redis://mute:mute@{address}")
    finally:
        client.execute_command("ACL", "DELUSER", "mute")
        client.close()
    (line,) = redis_told(facts)
    assert "daef.W005" in line


def test_redis_that_is_away_refuses_nothing(production):
    assert redis_told(store_facts.redis("redis://127.0.0.1:1/0")) == []


def test_whether_redis_answers_strangers_is_tried(redis_url):
    assert not rq_client.serves_strangers(redis_url)
    client = rq_client.connect(redis_url)
    client.execute_command("ACL", "SETUSER", "default", "nopass")
    try:
        assert rq_client.serves_strangers(redis_url)
    finally:
        password = redis_url.partition(":")[2].partition("@")[0].rpartition(":")[2]
        client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
        client.close()
    assert not rq_client.serves_strangers(redis_url)


def test_a_far_redis_that_answers_strangers_is_refused(production):
    production.DAEF_REDIS_URL = "redis://:password@redis.example.com:6379/0"
    (line,) = redis_told(RedisFacts("noeviction", serves_strangers=True))
    assert "answers without a password" in line
    assert "daef.E014" in line
